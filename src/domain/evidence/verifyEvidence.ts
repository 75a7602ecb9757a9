/** The offline verifier: what a file is, and whether what it says is shown to be true. No service, no network, no clock. */
import { isUtf8 } from 'node:buffer'
import type { Hash } from '../model.ts'
import { consistencyProof, inclusionProof, verifyConsistency, verifyInclusion } from '../proofs.ts'
import { type OpenedCheckpoint, openCheckpoint, type Trust } from './checkpointNote.ts'
import { CONSISTENCY_HEADER, parseConsistencyFile } from './consistencyFile.ts'
import { parseExportedRecord, type ReadRecord } from './exportedRecord.ts'
import { type Finding, holds, malformed, unverified } from './finding.ts'
import { MAX_NOTE_BYTES } from './note.ts'
import { parseTlogProof, TLOG_PROOF_HEADER, type TlogProof } from './tlogProof.ts'

export interface Evidence {
  /** A signed checkpoint, an inclusion proof, a consistency proof, or exported records, one a line. */
  readonly file: Buffer
  readonly trust: Trust
  /** For an inclusion proof: exported records, of which the one with the proof's index counts. */
  readonly event?: Buffer
}

/** What was shown. */
export type Verified =
  | { readonly what: 'checkpoint'; readonly checkpoint: OpenedCheckpoint }
  | { readonly what: 'inclusion'; readonly checkpoint: OpenedCheckpoint; readonly record: ReadRecord }
  | { readonly what: 'consistency'; readonly old: OpenedCheckpoint; readonly checkpoint: OpenedCheckpoint }
  /** Leaves computed from bytes; that a log holds them takes a proof. */
  | { readonly what: 'records'; readonly count: number; readonly first: ReadRecord }

/** Two notes of the largest size, and what stands around them: no checkpoint or proof has more bytes. */
export const MAX_PROOF_BYTES = 2 * MAX_NOTE_BYTES + 100_000

const OPENING_BRACE = 0x7b

export function verifyEvidence({ file, trust, event }: Evidence): Finding<Verified> {
  // Before it becomes text and lines: a few hundred megabytes of newlines would be more lines than memory holds.
  if (file[0] !== OPENING_BRACE && file.length > MAX_PROOF_BYTES)
    return malformed(
      `it is no exported event, and a checkpoint or proof has at most ${MAX_PROOF_BYTES} bytes`,
    )
  const text = textOf(file)
  if (!text.ok) return text
  if (text.value.startsWith(`${TLOG_PROOF_HEADER}\n`)) return inclusion(text.value, trust, event)
  if (text.value.startsWith(`${CONSISTENCY_HEADER}\n`)) return consistency(text.value, trust)
  if (/^(c2sp\.org\/tlog-proof|streaming-ingest\/consistency-proof)@/.test(text.value))
    return malformed(
      'it is a proof of a version that is not known here, or its lines do not end as they must',
    )
  if (text.value.startsWith('{')) return records(text.value)
  if (text.value.includes('\n\n— ')) return checkpoint(text.value, trust)
  return malformed('it is no signed checkpoint, no inclusion or consistency proof and no exported event')
}

const textOf = (bytes: Buffer): Finding<string> =>
  isUtf8(bytes) ? holds(bytes.toString('utf8')) : malformed('it is not UTF-8')

function checkpoint(text: string, trust: Trust): Finding<Verified> {
  const opened = openCheckpoint(text, trust)
  return opened.ok ? holds({ what: 'checkpoint', checkpoint: opened.value }) : opened
}

function inclusion(text: string, trust: Trust, event: Buffer | undefined): Finding<Verified> {
  const proof = parseTlogProof(text)
  if (!proof.ok) return proof
  const opened = openCheckpoint(proof.value.checkpoint, trust)
  if (!opened.ok) return opened
  const { index, hashes } = proof.value
  const { origin, size, root } = opened.value
  if (index >= size)
    return unverified(`the proof is for leaf ${index}, and the checkpoint covers ${size} leaves only`)
  const wrongCount = findWrongCount(hashes, inclusionProof(index, size, anyHash))
  if (wrongCount !== null) return unverified(wrongCount)
  const record = recordFor(proof.value, event)
  if (!record.ok) return record
  if (record.value.leafIndex !== index || record.value.origin !== origin)
    return unverified(`the proof is for leaf ${index} of ${origin}, and the exported event is another one`)
  if (!verifyInclusion({ index, size, leaf: record.value.leaf, root }, hashes))
    return unverified('the proof does not lead from the event to the root of the checkpoint')
  return holds({ what: 'inclusion', checkpoint: opened.value, record: record.value })
}

const anyHash = (): Hash => '' as Hash

const findWrongCount = (given: readonly Hash[], needed: readonly Hash[]): string | null =>
  given.length === needed.length
    ? null
    : `the proof has ${given.length} hashes where these sizes need ${needed.length}`

/** The exported record that a proof is about: the one at hand, else the one that the proof carries. */
function recordFor({ index, extra }: TlogProof, event: Buffer | undefined): Finding<ReadRecord> {
  const bytes = event ?? extra
  if (bytes === null) return malformed('the proof carries no event: the exported event is needed beside it')
  const found = recordAt(index, bytes)
  if (found.ok || (event !== undefined && found.fault !== 'MALFORMED')) return found
  const which = event === undefined ? 'the extra data of the proof' : 'the exported event beside it'
  return { ...found, detail: `${which}: ${found.detail}` }
}

function recordAt(index: bigint, bytes: Buffer): Finding<ReadRecord> {
  const text = textOf(bytes)
  if (!text.ok) return text
  let only: Finding<ReadRecord> | null = null
  let count = 0
  for (const line of linesOf(text.value)) {
    const record = parseExportedRecord(line)
    if (!record.ok || record.value.leafIndex === index) return record
    only = ++count === 1 ? record : null
  }
  // A single one is compared with the proof by whoever asked, and named in what is found.
  return only ?? unverified(`no exported event is leaf ${index}`)
}

/** One after another: a list of them all may need many times the memory of the text. An empty text is one empty line. */
function* linesOf(text: string): Generator<string> {
  let from = 0
  do {
    const end = text.indexOf('\n', from)
    yield text.slice(from, end < 0 ? undefined : end)
    from = end < 0 ? text.length : end + 1
  } while (from < text.length)
}

function consistency(text: string, trust: Trust): Finding<Verified> {
  const file = parseConsistencyFile(text)
  if (!file.ok) return file
  const old = openCheckpoint(file.value.oldCheckpoint, trust)
  if (!old.ok) return { ...old, detail: `the older checkpoint: ${old.detail}` }
  const newer = openCheckpoint(file.value.checkpoint, trust)
  if (!newer.ok) return { ...newer, detail: `the newer checkpoint: ${newer.detail}` }
  const { oldSize, hashes } = file.value
  const { origin, size, root } = newer.value
  if (old.value.origin !== origin)
    return unverified(`the checkpoints are of two logs, ${old.value.origin} and ${origin}`)
  if (old.value.size !== oldSize)
    return unverified('the proof begins at another size than the older checkpoint')
  if (oldSize === 0n) return unverified('every log begins with the empty one: a proof from it says nothing')
  if (oldSize > size)
    return unverified(`the older checkpoint covers ${oldSize} leaves, the newer one ${size}`)
  const wrongCount = findWrongCount(hashes, consistencyProof(oldSize, size, anyHash))
  if (wrongCount !== null) return unverified(wrongCount)
  if (!verifyConsistency({ oldSize, oldRoot: old.value.root, size, root }, hashes))
    return unverified('the log of the newer checkpoint does not begin with that of the older one')
  return holds({ what: 'consistency', old: old.value, checkpoint: newer.value })
}

function records(text: string): Finding<Verified> {
  let first: ReadRecord | null = null
  let count = 0
  for (const line of linesOf(text)) {
    count++
    const record = parseExportedRecord(line)
    if (!record.ok) return { ...record, detail: `line ${count}: ${record.detail}` }
    first ??= record.value
  }
  return first === null ? malformed('it is empty') : holds({ what: 'records', count, first })
}
