/** Rebuilds an empty database from archives, and says exactly what is missing (docs/recovery.md). */
import type { ArchivedCheckpoint } from '../domain/archive/checkpointLine.ts'
import type { Manifest } from '../domain/archive/manifest.ts'
import type { RecoveredLogView, RecoveryReport } from '../domain/archive/recoveryView.ts'
import type { SignatureRegistry } from '../domain/decode.ts'
import type { ReadRecord } from '../domain/evidence/exportedRecord.ts'
import type { VerifierKey } from '../domain/evidence/noteKeys.ts'
import { hashFromHex, hashToHex } from '../domain/hash.ts'
import { emptyFrontier, rootOf } from '../domain/merkle.ts'
import { leafIndex, offset } from '../domain/model.ts'
import type { RecordVerdict } from '../domain/verification/deriveRow.ts'
import { ServiceError } from '../errors.ts'
import type {
  ArchiveCodec,
  ArchivePlace,
  ProducerSource,
  RecoveryStore,
  RecoveryWriter,
  RestoredNode,
  RestoredRow,
} from '../ports.ts'
import { chainsOf, type FoundArchive, type LogChain } from './chain.ts'
import { type ChainPage, type ChainReader, chainCheckpoints, chainPages } from './chainLeaves.ts'
import { createJudge, type Judge, keyOf, producersOf } from './codes.ts'
import { damaged } from './files.ts'
import { endOf } from './leafEnds.ts'
import { judgeMissing, type SourceView, type TailVerdict } from './missing.ts'
import { type HeldNote, type HeldRoot, readHeldNotes } from './notesHeld.ts'
import { checkPart, openArchive } from './readArchive.ts'
import { claimOf, emptyStart, RootChecker } from './rootChecker.ts'

export interface RecoveryInput {
  readonly places: readonly ArchivePlace[]
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
  readonly signal: AbortSignal
  readonly say: (line: string) => void
  /** Ms since the epoch. */
  readonly now: () => number
}

const MS_PER_DAY = 86_400_000
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** What the first pass finds out about a log; nothing is written before all logs have passed it. */
interface ProvenLog {
  readonly chain: LogChain
  readonly matched: readonly HeldRoot[]
  readonly larger: readonly HeldRoot[]
  readonly root: string
  readonly checkpoints: readonly ArchivedCheckpoint[]
  readonly tail: TailVerdict
  /** Leaves that a note of a key that was given covers; null when none was given. */
  readonly signedTo: bigint | null
  /** Dead letters with a code that their bytes do not prove. */
  readonly codesByWord: number
  /** Refused for their signatures, and let in by the keys and policies that are restored. */
  readonly wouldLetIn: number
}

/**
 * First everything is verified: hashes, leaves, the roots of all notes. Then all of it is written in one transaction. Throws
 * DATABASE_NOT_EMPTY, ARCHIVE_NOT_FOUND, ARCHIVE_DAMAGED, NOTE_REFUSED, ROOT_MISMATCH, PLACE_UNAVAILABLE,
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
  const { archives, hashes, unfinished } = await findArchives(input)
  const newest = archives.reduce((a, b) => (b.manifest.createdAt > a.manifest.createdAt ? b : a)).manifest
  checkKeys(newest, input.keys)
  const producers = producersOf(newest)
  const judge = createJudge(input.verdictOf, producers)

  const chains = chainsOf(archives)
  const days = new Set<number>()
  const proven: ProvenLog[] = []
  for (const chain of chains) {
    input.say(`verifying ${chain.origin}, ${chain.end} leaves in ${chain.links.length} archives`)
    proven.push(await prove(input, judge, chain, chains, held.get(chain.origin) ?? [], days))
  }
  await input.store.makeDays([...days].sort((a, b) => a - b))
  const known = new Set(chains.map(({ origin }) => origin))
  const withoutArchive = [...held]
    .filter(([origin]) => !known.has(origin))
    .map(([origin, roots]) => ({ origin, leaves: String(roots.at(-1)?.size ?? 0n) }))
  return await input.store.inTransaction(async (writer) => {
    const logs: RecoveredLogView[] = []
    for (const log of proven) {
      input.say(`writing ${log.chain.origin}`)
      logs.push(await write(input, writer, judge, log))
    }
    await restoreRest(writer, newest, producers)
    const isInKafka = logs.every(({ missing }) => missing.every(({ state }) => state === 'in-kafka'))
    const isProven = proven.every(
      ({ chain: { end }, tail, signedTo: signed }) =>
        tail.unproven === 0n && (signed === null || signed === end),
    )
    const report: RecoveryReport = {
      archives: archives.map(({ manifest: { id }, place }) => ({
        ...{ id, place: place.name, manifestHash: hashes.get(id) ?? '' },
      })),
      ...{ unfinished, logs, withoutArchive },
      checkpoints: new Set(proven.flatMap(({ checkpoints }) => checkpoints.map(({ id }) => id))).size,
      complete: isInKafka && isProven && withoutArchive.length === 0,
    }
    await writer.recordRecovery(input.requestedBy, report)
    return report
  })
}

async function findArchives({ places, signal }: RecoveryInput) {
  const archives: FoundArchive[] = []
  const hashes = new Map<string, string>()
  const unfinished: string[] = []
  for (const place of places)
    for (const id of (await place.folders(signal)).filter((name) => UUID.test(name))) {
      const opened = await openArchive({ place, signal }, id)
      if (opened === null) unfinished.push(id)
      else if (!hashes.has(id)) {
        archives.push({ place, manifest: opened.manifest })
        hashes.set(id, hashToHex(opened.manifestHash))
      }
    }
  if (archives.length === 0)
    throw new ServiceError(
      'ARCHIVE_NOT_FOUND',
      `There is no finished archive in ${places.map(({ name }) => name).join(', ')}`,
    )
  return { archives, hashes, unfinished }
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

async function prove(
  input: RecoveryInput,
  judge: Judge,
  chain: LogChain,
  chains: readonly LogChain[],
  held: readonly HeldRoot[],
  days: Set<number>,
): Promise<ProvenLog> {
  const { keys, codec, signal } = input
  const reader: ChainReader = { codec, signal }
  const checkpoints = await chainCheckpoints(reader, chain)
  const claims = new RootChecker(
    chain.origin,
    [...held, ...checkpoints.map((each) => claimOf(chain.origin, each, keys))],
    emptyStart(BigInt(chain.newest.startOffset)),
  )
  let root = rootOf(emptyFrontier, 0n)
  let [codesByWord, wouldLetIn] = [0, 0]
  let leafEnd = BigInt(chain.newest.startOffset)
  for await (const page of chainPages(reader, chain)) {
    claims.take(page)
    root = rootOf(page.frontier, page.size)
    for (const record of page.records) {
      const standing = judge.codeOf(record)
      if (standing === 'contradicted')
        throw damaged(
          page.file,
          `calls leaf ${record.leafIndex} ${codeText(record)}, and its bytes say otherwise`,
        )
      if (standing === 'unproven') codesByWord++
      if (judge.wouldLetIn(record)) wouldLetIn++
    }
    for (const { content } of page.records.slice(-1)) leafEnd = endOf(content)
    for (const { content, ingestedAt = 0, deadLetter } of page.records)
      if (content.kind === 'record' && deadLetter === undefined)
        days.add(Math.floor(ingestedAt / MS_PER_DAY) * MS_PER_DAY)
  }
  // That the leaves lead to these roots was found on the way.
  for (const { archive, log } of chain.links)
    checkPart(archive.manifest.id, log, hashFromHex(log.rootHash), keys)
  const matched = new Set(claims.matched)
  const isMatched = (claim: HeldRoot): boolean => matched.has(claim)
  return {
    ...{
      chain,
      checkpoints,
      root: hashToHex(root),
      signedTo: signedTo(input, chain, held.filter(isMatched), checkpoints),
      codesByWord,
      wouldLetIn,
    },
    matched: held.filter(isMatched),
    larger: held.filter((claim) => !isMatched(claim)),
    tail: await judgeMissing(input.source, chain, chains, held, leafEnd),
  }
}

/** Their roots were arrived at, and who signed them was checked. */
function signedTo(
  { keys }: RecoveryInput,
  { links }: LogChain,
  held: readonly HeldRoot[],
  checkpoints: readonly ArchivedCheckpoint[],
): bigint | null {
  if (keys.length === 0) return null
  const sizes = [
    ...held.map(({ size }) => size),
    ...links.filter(({ log }) => log.note !== null).map(({ log }) => BigInt(log.toLeaf)),
    ...checkpoints
      .filter(({ position }) => position.note !== null)
      .map(({ position }) => BigInt(position.size)),
  ]
  return sizes.reduce((most, size) => (size > most ? size : most), 0n)
}

const codeText = ({ deadLetter }: ReadRecord): string =>
  deadLetter === undefined ? 'no dead letter' : `a dead letter ${deadLetter.code}`

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
  await writer.restoreCheckpoints(id, log.checkpoints)
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
