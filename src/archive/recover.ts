import type { RecoveredLogView, RecoveryReport } from '../domain/archive/recoveryView.ts'
import type { SignatureRegistry } from '../domain/decode.ts'
import type { RecordVerdict } from '../domain/verification/deriveRow.ts'
import { ServiceError } from '../errors.ts'
import type { ProducerSource, RecoveryStore, RecoveryWriter } from '../ports.ts'
import { chainsOf, type LogChain } from './chain.ts'
import { createJudge, keyOf, producersOf } from './codes.ts'
import { findArchives, type Search } from './findArchives.ts'
import { notesIn, type RestOfDatabase, restIn } from './manifestWords.ts'
import type { SourceView } from './missing.ts'
import { withNotedLogs } from './notedLogs.ts'
import { type HeldNote, readHeldNotes } from './notesHeld.ts'
import { recoverLog } from './recoverLog.ts'
import { partitionsWithoutLog, reportOf } from './recoveryReport.ts'
import { judgeRepeats } from './repeats.ts'

export interface RecoveryInput extends Search {
  /** Notes held elsewhere. */
  readonly notes: readonly HeldNote[]
  readonly store: RecoveryStore
  /** Verdicts over records, by the signatures that producers must show. */
  readonly verdictOf: (signatures: SignatureRegistry) => RecordVerdict
  /** Kafka as it is now; null: it is not asked. */
  readonly source: SourceView | null
  readonly requestedBy: string
}

/**
 * Everything is verified while it is read: hashes, leaves, the roots of all notes; and it is written in one transaction, which
 * ends with a commit only when all of it was good. Throws
 * DATABASE_NOT_EMPTY, BAD_REQUEST, ARCHIVE_NOT_FOUND, ARCHIVE_DAMAGED, ARCHIVE_AMBIGUOUS, NOTE_REFUSED, ROOT_MISMATCH, PLACE_UNAVAILABLE,
 * DATABASE_UNAVAILABLE, SCHEMA_OUTDATED, KAFKA_UNAVAILABLE; then nothing was written.
 */
export async function recover(input: RecoveryInput): Promise<RecoveryReport> {
  const used = await input.store.tablesInUse()
  if (used.length > 0)
    throw new ServiceError(
      'DATABASE_NOT_EMPTY',
      `The database is not empty: there are rows in ${used.join(', ')}`,
    )
  const found = await findArchives(input)
  const { archives } = found
  const held = await readHeldNotes([...notesIn(archives), ...input.notes], input.keys, input.signal)
  const rest = restIn(archives)
  const producers = producersOf(rest)
  const judge = createJudge(input.verdictOf, producers)
  const instance = found.instance ?? input.instance ?? ''
  const chains = withNotedLogs(chainsOf(archives), held.keys(), instance, input.now())
  if (input.source !== null) await askFor(input.source, chains, input.signal)
  return await input.store.inTransaction(async (writer) => {
    const proven: RecoveredLogView[] = []
    for (const chain of chains) {
      input.say(`recovering ${chain.origin}, ${chain.end} leaves in ${chain.links.length} archives`)
      const log = await recoverLog({ ...input, judge, chains, writer }, chain, held.get(chain.origin) ?? [])
      if (log !== null) proven.push(log)
    }
    const logs = await judgeRepeats(writer, chains, proven)
    const checkpoints = await writer.placeCheckpoints()
    await restoreRest(writer, rest, producers)
    const partitions = input.source === null ? [] : await partitionsWithoutLog(input.source, logs)
    const remarks = input.places.flatMap((place) => place.remarks())
    const report = reportOf({ found, logs, held, checkpoints, remarks, partitions })
    await writer.recordRecovery(input.requestedBy, report)
    return report
  })
}

/** Before anything is written: it takes long, and what Kafka says is needed for every log. Throws KAFKA_UNAVAILABLE. */
async function askFor(source: SourceView, chains: readonly LogChain[], signal: AbortSignal): Promise<void> {
  for (const topic of new Set(chains.map(({ newest }) => newest.topic))) await source.describe(topic, signal)
}

/** No leaf proves these: they are the archive's word. */
async function restoreRest(
  writer: RecoveryWriter,
  { keys, holds }: RestOfDatabase,
  producers: readonly ProducerSource[],
): Promise<void> {
  await writer.restoreKeys(
    keys.map(({ key, signsFrom, signsUntil }) => ({
      key: keyOf(key),
      fromMs: signsFrom,
      untilMs: signsUntil,
    })),
  )
  await writer.restoreProducers(producers)
  await writer.restoreHolds(
    holds.map(({ since, ...hold }) => ({ ...hold, since: new Date(since).toISOString() })),
  )
}
