/** A log out of the archives that hold it, held against all that was said of it. */
import type { ReadRecord } from '../domain/evidence/exportedRecord.ts'
import type { VerifierKey } from '../domain/evidence/noteKeys.ts'
import { hashToHex } from '../domain/hash.ts'
import { emptyFrontier, rootOf } from '../domain/merkle.ts'
import type { LogChain } from './chain.ts'
import { type ChainPage, type ChainReader, chainCheckpoints, chainPages } from './chainLeaves.ts'
import type { Judge } from './codes.ts'
import { damaged } from './files.ts'
import { endOf } from './leafEnds.ts'
import { judgeMissing, type SourceView, type TailVerdict } from './missing.ts'
import type { HeldRoot } from './notesHeld.ts'
import { type ClaimedRoot, claimOf, emptyStart, RootChecker } from './rootChecker.ts'

export interface ProvenLog {
  readonly chain: LogChain
  readonly matched: readonly HeldRoot[]
  readonly larger: readonly HeldRoot[]
  readonly root: string
  readonly tail: TailVerdict
  /** Leaves that a note of a key that was given covers; null when none was given. */
  readonly signedTo: bigint | null
  /** Dead letters with a code that their bytes do not prove. */
  readonly codesByWord: number
  /** Refused for their signatures, and let in by the keys and policies that are restored. */
  readonly wouldLetIn: number
}

export interface ProofInput extends ChainReader {
  /** Whose word is taken. */
  readonly keys: readonly VerifierKey[]
  /** Kafka as it is now; null: it is not asked. */
  readonly source: SourceView | null
  readonly judge: Judge
  /** Of all logs. */
  readonly chains: readonly LogChain[]
}

/**
 * `take` gets every page when its leaves were verified; what lies behind it may still be bad. Throws ARCHIVE_DAMAGED, NOTE_REFUSED, ROOT_MISMATCH, PLACE_UNAVAILABLE, KAFKA_UNAVAILABLE.
 */
export async function proveLog(
  input: ProofInput,
  chain: LogChain,
  held: readonly HeldRoot[],
  take: (page: ChainPage) => Promise<void>,
): Promise<ProvenLog> {
  const { keys, judge } = input
  const archived = await archivedClaims(input, chain)
  const start = emptyStart(BigInt(chain.newest.startOffset))
  const claims = new RootChecker(chain.origin, [...held, ...archived.claims], start)
  let root = rootOf(emptyFrontier, 0n)
  let [codesByWord, wouldLetIn] = [0, 0]
  let leafEnd = BigInt(chain.newest.startOffset)
  for await (const page of readAhead(chainPages(input, chain))) {
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
    await take(page)
  }
  const arrivedAt = new Set(claims.matched)
  const matched = held.filter((claim) => arrivedAt.has(claim))
  const larger = held.filter((claim) => !arrivedAt.has(claim))
  return {
    ...{ chain, matched, larger, root: hashToHex(root), codesByWord, wouldLetIn },
    signedTo: keys.length === 0 ? null : signedTo(chain, matched, archived.signedTo),
    tail: await judgeMissing(input.source, chain, input.chains, held, leafEnd),
  }
}

/** The next page is read while this one is taken. */
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

/** What the checkpoints beside the leaves say: of those that say the same, one is kept, and no note. */
async function archivedClaims(
  input: ProofInput,
  chain: LogChain,
): Promise<{ readonly claims: readonly ClaimedRoot[]; readonly signedTo: bigint }> {
  const claims = new Map<string, ClaimedRoot>()
  let signed = 0n
  for await (const checkpoint of chainCheckpoints(input, chain)) {
    const claim = claimOf(chain.origin, checkpoint, input.keys)
    const { size, rootHash, offset, note } = checkpoint.position
    const said = `${size} ${rootHash} ${offset}`
    if (!claims.has(said)) claims.set(said, claim)
    if (note !== null && claim.size > signed) signed = claim.size
  }
  return { claims: [...claims.values()], signedTo: signed }
}

/** Their roots were arrived at, and who signed them was checked. */
function signedTo({ links }: LogChain, matched: readonly HeldRoot[], archived: bigint): bigint {
  const sizes = [
    ...matched.map(({ size }) => size),
    ...links.filter(({ log }) => log.note !== null).map(({ log }) => BigInt(log.toLeaf)),
  ]
  return sizes.reduce((most, size) => (size > most ? size : most), archived)
}

const codeText = ({ deadLetter }: ReadRecord): string =>
  deadLetter === undefined ? 'no dead letter' : `a dead letter ${deadLetter.code}`
