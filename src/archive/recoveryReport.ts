/** What a recovery came to, and what nobody has any more. */
import type {
  LeftOutArchive,
  LogHole,
  RecoveredLogView,
  RecoveryReport,
  UnknownPartition,
} from '../domain/archive/recoveryView.ts'
import { parseOrigin } from '../domain/evidence/origin.ts'
import type { FoundArchives } from './findArchives.ts'
import type { SourceView } from './missing.ts'
import type { HeldRoot } from './notesHeld.ts'

export interface Outcome {
  readonly found: FoundArchives
  readonly logs: readonly RecoveredLogView[]
  readonly held: ReadonlyMap<string, readonly HeldRoot[]>
  readonly checkpoints: number
  readonly remarks: readonly string[]
  readonly partitions: readonly UnknownPartition[]
}

export function reportOf({ found, logs, held, checkpoints, remarks, partitions }: Outcome): RecoveryReport {
  const opened = new Set(logs.map(({ origin }) => origin))
  const withoutArchive = [...held]
    .filter(([origin]) => !opened.has(origin))
    .map(([origin, roots]) => ({ origin, leaves: String(roots.at(-1)?.size ?? 0n) }))
  const leftOut = leftOutOf(found, logs)
  const holes = holesIn(logs, [...held.keys()])
  const isInKafka = logs.every(({ missing }) => missing.every(({ state }) => state === 'in-kafka'))
  const isProven = logs.every(
    ({ leaves, unprovenOffsets, signedTo }) =>
      unprovenOffsets === '0' && (signedTo === null || signedTo === leaves),
  )
  const isWhole =
    withoutArchive.length + holes.length === 0 &&
    leftOut.every(({ lacks }) => lacks !== null && lacks.length === 0) &&
    partitions.every(({ startOffset }) => startOffset === '0')
  return {
    archives: found.archives.map(({ manifest: { id }, places }) => ({
      ...{ id, place: places.map(({ name }) => name).join(', ') },
      manifestHash: found.hashes.get(id) ?? '',
    })),
    ...{
      remarks,
      unfinished: found.unfinished,
      leftOut,
      logs,
      withoutArchive,
      holes,
      partitions,
      checkpoints,
    },
    complete: isInKafka && isProven && isWhole,
  }
}

/** Of an archive that was left alone: what of its leaves came from no other. */
function leftOutOf(
  { foreign, excepted }: FoundArchives,
  logs: readonly RecoveredLogView[],
): readonly LeftOutArchive[] {
  const leaves = new Map(logs.map((log) => [log.origin, BigInt(log.leaves)]))
  return [
    ...foreign.map((id) => ({ id, lacks: [] })),
    ...[...excepted].map(([id, manifest]) => ({
      id,
      lacks:
        manifest === null
          ? null
          : manifest.logs
              .filter(({ origin, toLeaf }) => (leaves.get(origin) ?? 0n) < BigInt(toLeaf))
              .map(({ origin, toLeaf }) => ({ origin, toLeaf })),
    })),
  ]
}

/** Incarnations count from 1 without holes: one that neither an archive nor a note knows was there all the same. */
function holesIn(logs: readonly RecoveredLogView[], origins: readonly string[]): readonly LogHole[] {
  const known = new Map<string, { readonly topic: string; readonly partition: number; at: number[] }>()
  const add = (topic: string, partition: number, incarnation: number): void => {
    const name = `${topic}/${partition}`
    const entry = known.get(name) ?? { topic, partition, at: [] }
    known.set(name, entry)
    entry.at.push(incarnation)
  }
  for (const { topic, partition, incarnation } of logs) add(topic, partition, incarnation)
  for (const origin of origins) {
    const log = parseOrigin(origin)
    // Of partitions with logs only: else ingest begins anew, and counts from 1.
    if (log !== null && known.has(`${log.topic}/${log.partition}`))
      add(log.topic, log.partition, log.incarnation)
  }
  const holes: LogHole[] = []
  for (const { topic, partition, at } of known.values()) {
    let next = 1
    for (const incarnation of at.sort((a, b) => a - b)) {
      if (incarnation > next) holes.push({ topic, partition, from: next, to: incarnation - 1 })
      next = Math.max(next, incarnation + 1)
    }
  }
  return holes
}

/** Partitions of the topics, as Kafka has them now, that have no log. Throws KAFKA_UNAVAILABLE. */
export async function partitionsWithoutLog(
  source: SourceView,
  logs: readonly RecoveredLogView[],
): Promise<readonly UnknownPartition[]> {
  const found: UnknownPartition[] = []
  for (const topic of new Set(logs.map((log) => log.topic))) {
    const known = new Set(logs.filter((log) => log.topic === topic).map(({ partition }) => partition))
    for (const { partition } of (await source.describe(topic))?.partitions ?? []) {
      if (known.has(partition)) continue
      const { start } = await source.bounds(topic, partition)
      found.push({ topic, partition, startOffset: String(start) })
    }
  }
  return found
}
