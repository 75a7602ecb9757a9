/** Manifests as they are written, of logs that hold nothing but numbers. */
import type { Manifest, ManifestLog } from '../../../src/domain/archive/manifest.ts'
import { formatOrigin } from '../../../src/domain/evidence/origin.ts'

const zeros = '0'.repeat(64)

interface LogSpec {
  readonly incarnation?: number
  readonly startOffset?: bigint
  readonly fromOffset?: bigint
  readonly toLeaf: bigint
  readonly toOffset: bigint
}

/** One file, from leaf 0. */
export function manifestLog(spec: LogSpec): ManifestLog {
  const { incarnation = 1, startOffset = 0n, fromOffset = 0n, toLeaf, toOffset } = spec
  const parts = {
    ...{ instance: 'example.com/ingest', topic: 'orders', partition: 0, incarnation },
    topicId: '11111111-1111-4111-8111-111111111111',
  }
  const range = {
    ...{ fromLeaf: '0', toLeaf: String(toLeaf) },
    ...{ fromOffset: String(fromOffset), toOffset: String(toOffset) },
  }
  return {
    ...{ origin: formatOrigin({ ...parts, startOffset }), ...parts, startOffset: String(startOffset) },
    ...{ leaderEpoch: 0, createdAt: 1_760_000_000_000, ...range },
    ...{ frontier: '', rootHashBefore: zeros, rootHash: zeros, note: null, consistency: [] },
    files: [
      { name: 'leaves.zst', bytes: 1, sha256: zeros, unpackedBytes: 1, lines: Number(toLeaf), ...range },
    ],
    checkpoints: [],
  }
}

export const manifestOf = (logs: readonly ManifestLog[]): Manifest => ({
  ...{ format: 'streaming-ingest/archive@v1', id: '22222222-2222-4222-8222-222222222222' },
  ...{ createdAt: 1_760_000_100_000, createdBy: 'ada', request: {}, schema: '0001', keys: [], producers: [] },
  ...{ holds: [], logs: [...logs] },
})
