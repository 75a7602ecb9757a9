/** A small log of every kind of leaf, and the evidence files that an installation would hand out about it. */
import { signCheckpoint } from '../../../src/domain/evidence/checkpointNote.ts'
import { formatConsistencyFile } from '../../../src/domain/evidence/consistencyFile.ts'
import {
  type ExportedRecord,
  formatExportedRecord,
  type LeafContent,
  leafOf,
} from '../../../src/domain/evidence/exportedRecord.ts'
import type { SigningKey } from '../../../src/domain/evidence/noteKeys.ts'
import { formatOrigin } from '../../../src/domain/evidence/origin.ts'
import { formatTlogProof } from '../../../src/domain/evidence/tlogProof.ts'
import { encodeHeaders } from '../../../src/domain/headers.ts'
import { appendLeaves, emptyFrontier, rootOf } from '../../../src/domain/merkle.ts'
import type { Hash, LeafIndex } from '../../../src/domain/model.ts'
import { offset } from '../../../src/domain/model.ts'
import { consistencyProof, inclusionProof, type RangeRoot } from '../../../src/domain/proofs.ts'
import { testKey } from './keys.ts'

export const INSTANCE = 'example.com/ingest'
export const ORIGIN = formatOrigin({
  instance: INSTANCE,
  topic: 'orders',
  partition: 3,
  topicId: '3f2a9c1e-7d54-4b8a-9e0f-5c6d7e8f9a0b',
  incarnation: 1,
  startOffset: 0n,
})

const contentAt = (index: number): LeafContent => {
  const at = offset(1_000n + BigInt(index) * 10n)
  switch (index % 5) {
    case 3:
      return { kind: 'gap', from: at, to: offset(at + 7n) }
    case 4:
      return {
        kind: 'batch',
        firstOffset: at,
        lastOffset: offset(at + 2n),
        timestamp: -1n,
        bytes: Buffer.alloc(70, index),
      }
    default:
      return {
        kind: 'record',
        offset: at,
        timestamp: 1_760_000_000_000n + BigInt(index),
        key: index % 5 === 0 ? null : Buffer.from(`t-${index}`),
        headers: encodeHeaders([['event-type', Buffer.from('order.created')]]),
        value: index % 5 === 2 ? null : Buffer.from(`{"id":"${index}","text":"ä"}`),
      }
  }
}

export const LEAVES = 23
const contents = Array.from({ length: LEAVES }, (_, index) => contentAt(index))
const leaves = contents.map(leafOf)

const rangeRoot: RangeRoot = (from, to) => {
  const size = (to - from) as LeafIndex
  const part = leaves.slice(Number(from), Number(to))
  return rootOf(appendLeaves({ size: 0n as LeafIndex, frontier: emptyFrontier }, part).frontier, size)
}

export const rootAt = (size: number): Hash => rangeRoot(0n, BigInt(size))

export const recordAt = (index: number): ExportedRecord => ({
  origin: ORIGIN,
  leafIndex: BigInt(index),
  content: contents[index] as LeafContent,
  ...(index % 5 === 2 && { deadLetter: { code: 'TOMBSTONE', detail: 'the record has no value' } }),
  ...(index === 0 && { ingestedAt: 1_760_000_000_123 }),
})

export const recordLineAt = (index: number): string => formatExportedRecord(recordAt(index))

export const oldKey = testKey(INSTANCE, 1)
export const newKey = testKey(INSTANCE, 2)
/** Of somebody else. */
export const witnessKey = testKey('witness.example/w1', 3)
export const foreignKey = testKey('example.org/other', 4)

export const checkpointAt = (size: number, keys: readonly SigningKey[] = [oldKey], origin = ORIGIN): string =>
  signCheckpoint({ origin, size: BigInt(size), root: rootAt(size), extensions: [] }, keys)

export interface ProofOptions {
  readonly checkpoint?: string
  /** The exported event inside the proof. */
  readonly carried?: boolean
}

export function inclusionFile(
  index: number,
  size: number,
  { checkpoint, carried }: ProofOptions = {},
): string {
  return formatTlogProof({
    extra: carried === true ? Buffer.from(recordLineAt(index)) : null,
    index: BigInt(index),
    hashes: inclusionProof(BigInt(index), BigInt(size), rangeRoot),
    checkpoint: checkpoint ?? checkpointAt(size),
  })
}

export const consistencyBetween = (
  oldSize: number,
  size: number,
  { oldCheckpoint, checkpoint }: { readonly oldCheckpoint?: string; readonly checkpoint?: string } = {},
): string =>
  formatConsistencyFile({
    oldCheckpoint: oldCheckpoint ?? checkpointAt(oldSize),
    oldSize: BigInt(oldSize),
    hashes: consistencyProof(BigInt(oldSize), BigInt(size), rangeRoot),
    checkpoint: checkpoint ?? checkpointAt(size, [oldKey, newKey]),
  })
