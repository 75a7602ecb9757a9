/** Inclusion proofs as files that stand on their own: C2SP tlog-proof.md. */
import type { Hash } from '../model.ts'
import { decodeBase64 } from './base64.ts'
import { hashFromBase64, hashToBase64, parseSize } from './checkpointNote.ts'
import { type Finding, holds, malformed } from './finding.ts'

export const TLOG_PROOF_HEADER = 'c2sp.org/tlog-proof@v1'
/** Levels of the largest tree: no proof has more hashes. */
export const MAX_PROOF_HASHES = 63
/** Readers that others wrote (github.com/transparency-dev/formats) stop at longer lines. */
export const MAX_EXTRA_LINE_BYTES = 65_535

export interface TlogProof {
  /** Not covered by any signature. Ours holds the exported record that the proof is about, where it fits. */
  readonly extra: Buffer | null
  /** Of the leaf. */
  readonly index: bigint
  /** From the leaf's sibling up to the root's child. */
  readonly hashes: readonly Hash[]
  /** The signed note, as it is. */
  readonly checkpoint: string
}

const EXTRA = 'extra '
const INDEX = 'index '

export function formatTlogProof({ extra, index, hashes, checkpoint }: TlogProof): string {
  const lines = [
    TLOG_PROOF_HEADER,
    ...(extra === null ? [] : [EXTRA + extra.toString('base64')]),
    `${INDEX}${index}`,
    ...hashes.map(hashToBase64),
    '',
  ]
  return `${lines.join('\n')}\n${checkpoint}`
}

/** Whether `extra` leaves its line short enough for the readers of others. */
export const fitsExtra = (extra: Buffer): boolean =>
  EXTRA.length + 4 * Math.ceil(extra.length / 3) <= MAX_EXTRA_LINE_BYTES

/** Inverse of `formatTlogProof`; nothing is verified. */
export function parseTlogProof(text: string): Finding<TlogProof> {
  const blank = text.indexOf('\n\n')
  if (blank < 0) return malformed('an inclusion proof has an empty line before its checkpoint')
  const lines = text.slice(0, blank).split('\n')
  if (lines.shift() !== TLOG_PROOF_HEADER)
    return malformed(`an inclusion proof begins with ${TLOG_PROOF_HEADER}`)
  const extra = lines[0]?.startsWith(EXTRA)
    ? decodeBase64((lines.shift() ?? '').slice(EXTRA.length))
    : undefined
  if (extra === null) return malformed('the extra data of the inclusion proof is not base64')
  const indexLine = lines.shift() ?? ''
  const index = indexLine.startsWith(INDEX) ? parseSize(indexLine.slice(INDEX.length)) : null
  if (index === null) return malformed('an inclusion proof has a line "index" with a decimal number')
  const hashes = parseHashes(lines)
  if (!hashes.ok) return hashes
  return holds({ extra: extra ?? null, index, hashes: hashes.value, checkpoint: text.slice(blank + 2) })
}

/** The hashes of a proof, one a line. */
export function parseHashes(lines: readonly string[]): Finding<readonly Hash[]> {
  if (lines.length > MAX_PROOF_HASHES) return malformed(`a proof has at most ${MAX_PROOF_HASHES} hashes`)
  const hashes: Hash[] = []
  for (const line of lines) {
    const hash = hashFromBase64(line)
    if (hash === null)
      return malformed(`hash ${hashes.length + 1} of the proof is not the base64 of 32 bytes`)
    hashes.push(hash)
  }
  return holds(hashes)
}
