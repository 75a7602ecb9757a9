import type { Manifest } from '../domain/archive/manifest.ts'
import type { RecoveredLogView, RecoveryReport } from '../domain/archive/recoveryView.ts'
import type { SignatureRegistry } from '../domain/decode.ts'
import type { VerifierKey } from '../domain/evidence/noteKeys.ts'
import type { RecordVerdict } from '../domain/verification/deriveRow.ts'
import { ServiceError } from '../errors.ts'
import type { ProducerSource, RecoveryStore, RecoveryWriter } from '../ports.ts'
import { chainsOf } from './chain.ts'
import { createJudge, keyOf, producersOf } from './codes.ts'
import { type FoundArchives, findArchives, type Search } from './findArchives.ts'
import type { SourceView } from './missing.ts'
import { withNotedLogs } from './notedLogs.ts'
import { type HeldNote, type HeldRoot, readHeldNotes } from './notesHeld.ts'
import { recoverLog } from './recoverLog.ts'

export interface RecoveryInput extends Search {
  /** Notes held elsewhere. */
  readonly notes: readonly HeldNote[]
  readonly store: RecoveryStore
  /** Verdicts over records, by the signatures that producers must show. */
  readonly verdictOf: (signatures: SignatureRegistry) => RecordVerdict
  /** Kafka as it is now; null: it is not asked. */
  readonly source: SourceView | null
  readonly requestedBy: string
  /** Ms since the epoch. */
  readonly now: () => number
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
  const held = await readHeldNotes(input.notes, input.keys, input.signal)
  const found = await findArchives(input)
  const { archives, newest } = found
  checkKeys(newest, input.keys)
  const producers = producersOf(newest)
  const judge = createJudge(input.verdictOf, producers)
  const instance = found.instance ?? ''
  const chains = withNotedLogs(chainsOf(archives), held.keys(), instance, input.now())
  return await input.store.inTransaction(async (writer) => {
    const logs: RecoveredLogView[] = []
    for (const chain of chains) {
      input.say(`recovering ${chain.origin}, ${chain.end} leaves in ${chain.links.length} archives`)
      const log = await recoverLog({ ...input, judge, chains, writer }, chain, held.get(chain.origin) ?? [])
      if (log !== null) logs.push(log)
    }
    const checkpoints = await writer.placeCheckpoints()
    await restoreRest(writer, newest, producers)
    const remarks = input.places.flatMap((place) => place.remarks())
    const report = reportOf({ ...found, remarks }, logs, held, checkpoints)
    await writer.recordRecovery(input.requestedBy, report)
    return report
  })
}

function reportOf(
  { archives, hashes, unfinished, leftOut, remarks }: FoundArchives & Pick<RecoveryReport, 'remarks'>,
  logs: readonly RecoveredLogView[],
  held: ReadonlyMap<string, readonly HeldRoot[]>,
  checkpoints: number,
): RecoveryReport {
  const opened = new Set(logs.map(({ origin }) => origin))
  const withoutArchive = [...held]
    .filter(([origin]) => !opened.has(origin))
    .map(([origin, roots]) => ({ origin, leaves: String(roots.at(-1)?.size ?? 0n) }))
  const isInKafka = logs.every(({ missing }) => missing.every(({ state }) => state === 'in-kafka'))
  const isProven = logs.every(
    ({ leaves, unprovenOffsets, signedTo }) =>
      unprovenOffsets === '0' && (signedTo === null || signedTo === leaves),
  )
  return {
    archives: archives.map(({ manifest: { id }, place }) => ({
      ...{ id, place: place.name, manifestHash: hashes.get(id) ?? '' },
    })),
    ...{ remarks, unfinished, leftOut, logs, withoutArchive, checkpoints },
    complete: isInKafka && isProven && withoutArchive.length === 0,
  }
}

/** The archive's own list of keys is nobody's signature: it may name only keys that are known from elsewhere. */
function checkKeys({ id, keys }: Manifest, trusted: readonly VerifierKey[]): void {
  for (const { key } of keys) {
    if (trusted.some(({ text }) => text === key)) continue
    const name = key.split('+').slice(0, 2).join('+')
    throw new ServiceError(
      'NOTE_REFUSED',
      `${id}/manifest.json names the key ${name}, which is not among those given with --key`,
    )
  }
}

/** No leaf proves these: they are the archive's word. */
async function restoreRest(
  writer: RecoveryWriter,
  { keys, holds }: Manifest,
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
