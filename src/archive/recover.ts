/** Rebuilds an empty database from archives, and says exactly what is missing (docs/recovery.md). */
import type { ArchivedCheckpoint } from '../domain/archive/checkpointLine.ts'
import type { Manifest } from '../domain/archive/manifest.ts'
import type { RecoveredLogView, RecoveryReport } from '../domain/archive/recoveryView.ts'
import type { SignatureRegistry } from '../domain/decode.ts'
import type { ReadRecord } from '../domain/evidence/exportedRecord.ts'
import type { VerifierKey } from '../domain/evidence/noteKeys.ts'
import { hashToHex } from '../domain/hash.ts'
import { emptyFrontier, rootOf } from '../domain/merkle.ts'
import { leafIndex, offset } from '../domain/model.ts'
import type { RecordVerdict } from '../domain/verification/deriveRow.ts'
import { ServiceError } from '../errors.ts'
import type {
  ArchiveCodec,
  ProducerSource,
  RecoveryStore,
  RecoveryWriter,
  RestoredNode,
  RestoredRow,
} from '../ports.ts'
import { chainsOf, type LogChain } from './chain.ts'
import { type ChainPage, chainCheckpoints, chainPages } from './chainLeaves.ts'
import { createJudge, type Judge, keyOf, producersOf } from './codes.ts'
import { type FoundArchives, findArchives, type Search } from './findArchives.ts'
import { endOf } from './leafEnds.ts'
import type { SourceView } from './missing.ts'
import { withNotedLogs } from './notedLogs.ts'
import { type HeldNote, type HeldRoot, readHeldNotes } from './notesHeld.ts'
import { type ProvenLog, proveLog } from './proveLog.ts'

export interface RecoveryInput extends Search {
  readonly codec: ArchiveCodec
  /** Notes held elsewhere. */
  readonly notes: readonly HeldNote[]
  /** Whose word is taken. */
  readonly keys: readonly VerifierKey[]
  readonly store: RecoveryStore
  /** Verdicts over records, by the signatures that producers must show. */
  readonly verdictOf: (signatures: SignatureRegistry) => RecordVerdict
  /** Kafka as it is now; null: it is not asked. */
  readonly source: SourceView | null
  readonly requestedBy: string
  readonly say: (line: string) => void
  /** Ms since the epoch. */
  readonly now: () => number
}

/** Some MB with their notes. */
const CHECKPOINTS_AT_ONCE = 5_000

/**
 * First everything is verified: hashes, leaves, the roots of all notes. Then all of it is written in one transaction. Throws
 * DATABASE_NOT_EMPTY, BAD_REQUEST, ARCHIVE_NOT_FOUND, ARCHIVE_DAMAGED, NOTE_REFUSED, ROOT_MISMATCH, PLACE_UNAVAILABLE,
 * DATABASE_UNAVAILABLE, SCHEMA_OUTDATED, KAFKA_UNAVAILABLE; then nothing was written.
 */
export async function recover(input: RecoveryInput): Promise<RecoveryReport> {
  const used = await input.store.tablesInUse()
  if (used.length > 0)
    throw new ServiceError(
      'DATABASE_NOT_EMPTY',
      `The database is not empty: there are rows in ${used.join(', ')}`,
    )
  const held = readHeldNotes(input.notes, input.keys)
  const found = await findArchives(input)
  const { archives, newest } = found
  checkKeys(newest, input.keys)
  const producers = producersOf(newest)
  const judge = createJudge(input.verdictOf, producers)
  const instance = found.instance ?? ''
  const chains = withNotedLogs(chainsOf(archives), held.keys(), instance, input.now())
  const proven: ProvenLog[] = []
  for (const chain of chains) {
    input.say(`verifying ${chain.origin}, ${chain.end} leaves in ${chain.links.length} archives`)
    const log = await proveLog({ ...input, judge, chains }, chain, held.get(chain.origin) ?? [])
    if (isToOpen(log, chains)) proven.push(log)
  }
  const days = new Set(proven.flatMap((log) => [...log.days]))
  await input.store.makeDays([...days].sort((a, b) => a - b))
  return await input.store.inTransaction(async (writer) => {
    const logs: RecoveredLogView[] = []
    for (const log of proven) {
      input.say(`writing ${log.chain.origin}`)
      logs.push(await write(input, writer, judge, log))
    }
    const checkpoints = await writer.placeCheckpoints()
    await restoreRest(writer, newest, producers)
    const report = reportOf(found, proven, logs, held, checkpoints)
    await writer.recordRecovery(input.requestedBy, report)
    return report
  })
}

/**
 * A log that only notes know is opened where ingest would come back to it, or would go on in one before it. Elsewhere nothing
 * can be said that would not be told by its absence.
 */
const isToOpen = ({ chain, tail }: ProvenLog, chains: readonly LogChain[]): boolean =>
  chain.links.length > 0 ||
  chain.unreachable.length > 0 ||
  tail.isThere ||
  chains.some(
    ({ newest: { topic, partition, incarnation } }) =>
      topic === chain.newest.topic &&
      partition === chain.newest.partition &&
      incarnation < chain.newest.incarnation,
  )

function reportOf(
  { archives, hashes, unfinished, leftOut }: FoundArchives,
  proven: readonly ProvenLog[],
  logs: readonly RecoveredLogView[],
  held: ReadonlyMap<string, readonly HeldRoot[]>,
  checkpoints: number,
): RecoveryReport {
  const opened = new Set(proven.map(({ chain }) => chain.origin))
  const withoutArchive = [...held]
    .filter(([origin]) => !opened.has(origin))
    .map(([origin, roots]) => ({ origin, leaves: String(roots.at(-1)?.size ?? 0n) }))
  const isInKafka = logs.every(({ missing }) => missing.every(({ state }) => state === 'in-kafka'))
  const isProven = proven.every(
    ({ chain: { end }, tail, signedTo: signed }) =>
      tail.unproven === 0n && (signed === null || signed === end),
  )
  return {
    archives: archives.map(({ manifest: { id }, place }) => ({
      ...{ id, place: place.name, manifestHash: hashes.get(id) ?? '' },
    })),
    ...{ unfinished, leftOut, logs, withoutArchive, checkpoints },
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

interface Counts {
  events: number
  deadLetters: number
  gaps: number
  reclassified: number
  /** Events that the keys and policies that are restored would refuse. */
  wouldRefuse: number
}

async function write(
  input: RecoveryInput,
  writer: RecoveryWriter,
  judge: Judge,
  log: ProvenLog,
): Promise<RecoveredLogView> {
  const { chain, tail } = log
  const { topic, partition, topicId, incarnation, leaderEpoch } = chain.newest
  const startOffset = offset(BigInt(chain.newest.startOffset))
  const identity = { topic, partition, topicId }
  const createdMs = chain.newest.createdAt
  const id = await writer.openLog({ identity, incarnation, startOffset, leaderEpoch, createdMs })
  const counts: Counts = { events: 0, deadLetters: 0, gaps: 0, reclassified: 0, wouldRefuse: 0 }
  let last = { size: leafIndex(0n), frontier: emptyFrontier, bytes: 0n, ms: null as number | null }
  for await (const page of readAhead(chainPages(input, chain))) {
    const rows = page.records.map((record): RestoredRow => {
      const judged = judge.judge(record)
      if (judged?.isDoubted === true) counts.wouldRefuse++
      return { record, decoded: judged?.decoded ?? null }
    })
    const { nodes, bytes } = placeNodes(page, last.bytes)
    await writer.appendRows(id, rows, nodes)
    for (const row of rows) count(row, counts)
    last = {
      ...{ size: leafIndex(page.size), frontier: page.frontier, bytes },
      ms: page.records.at(-1)?.ingestedAt ?? last.ms,
    }
    input.say(`${topic}/${partition}: ${page.size} of ${chain.end} leaves`)
  }
  const { size, frontier, bytes, ms: lastIngestedMs } = last
  if (hashToHex(rootOf(frontier, size)) !== log.root)
    throw new ServiceError('ARCHIVE_DAMAGED', `the archives of ${chain.origin} changed while they were read`)
  const nextOffset = offset(tail.nextOffset)
  await writer.closeLog(id, { nextOffset, size, frontier, bytes, lastIngestedMs }, leaderEpoch)
  let checkpoints: ArchivedCheckpoint[] = []
  for await (const checkpoint of chainCheckpoints(input, chain)) {
    checkpoints.push(checkpoint)
    if (checkpoints.length < CHECKPOINTS_AT_ONCE) continue
    await writer.restoreCheckpoints(id, checkpoints)
    checkpoints = []
  }
  await writer.restoreCheckpoints(id, checkpoints)
  if (tail.next !== null)
    await writer.openLog({
      identity: { ...identity, topicId: tail.next.topicId },
      ...{ incarnation: incarnation + 1, startOffset: offset(tail.next.startOffset), leaderEpoch: -1 },
      createdMs: input.now(),
    })
  return viewOf(log, counts)
}

/** The next page is read while this one is written. */
async function* readAhead<Item>(source: AsyncGenerator<Item>): AsyncGenerator<Item> {
  for (let next = source.next(); ; ) {
    const { value, done } = await next
    if (done === true) return
    next = source.next()
    // It is asked for what became of it when its turn comes.
    next.catch(() => undefined)
    yield value
  }
}

function count({ record: { content, deadLetter }, decoded }: RestoredRow, counts: Counts): void {
  if (content.kind === 'gap') counts.gaps++
  else if (decoded?.kind === 'event') counts.events++
  else counts.deadLetters++
  if (deadLetter === undefined && decoded?.kind === 'rejected') counts.reclassified++
}

/** What ingest counts: key, headers and value of a record, the bytes of a batch. */
function bytesOf({ content }: ReadRecord): number {
  if (content.kind === 'gap') return 0
  if (content.kind === 'batch') return content.bytes.length
  return (content.key?.length ?? 0) + content.headers.length + (content.value?.length ?? 0)
}

/** Each node with what is known of its last leaf. */
function placeNodes(
  { records, from, nodes }: ChainPage,
  before: bigint,
): { readonly nodes: readonly RestoredNode[]; readonly bytes: bigint } {
  const placed: RestoredNode[] = []
  let bytes = before
  let next = 0
  for (const [index, record] of records.entries()) {
    bytes += BigInt(bytesOf(record))
    for (let node = nodes[next]; node !== undefined; node = nodes[++next]) {
      if (((node.index + 1n) << BigInt(node.level)) - 1n !== from + BigInt(index)) break
      placed.push({ ...node, bytes, endOffset: endOf(record.content), ingestedMs: record.ingestedAt ?? 0 })
    }
  }
  return { nodes: placed, bytes }
}

function viewOf(proof: ProvenLog, counts: Counts): RecoveredLogView {
  const { chain, matched, larger, root, tail } = proof
  const { topic, partition, incarnation } = chain.newest
  const proven = matched.at(-1)
  return {
    ...{ origin: chain.origin, topic, partition, incarnation, leaves: String(chain.end) },
    events: String(counts.events),
    deadLetters: String(counts.deadLetters),
    gaps: String(counts.gaps),
    reclassified: String(counts.reclassified),
    codesByWord: String(proof.codesByWord),
    signatureDoubts: { wouldLetIn: proof.wouldLetIn, wouldRefuse: counts.wouldRefuse },
    ...{ nextOffset: String(tail.nextOffset), unprovenOffsets: String(tail.unproven), rootHash: root },
    signedTo: proof.signedTo === null ? null : String(proof.signedTo),
    provenTo: proven === undefined ? null : String(proven.size),
    notes: { matched: matched.length, larger: larger.length },
    missing: tail.missing,
    ...(tail.next !== null && {
      followedBy: { incarnation: incarnation + 1, startOffset: String(tail.next.startOffset) },
    }),
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
