/**
 * Consistency proofs as files that stand on their own. C2SP has no such file; this one is its tlog-proof's sibling. What
 * follows the older checkpoint is, byte for byte, the body of a tlog-witness `add-checkpoint` request.
 *
 *     streaming-ingest/consistency-proof@v1
 *     <empty line>
 *     <older checkpoint: text, empty line, signatures>
 *     <empty line>
 *     old <size of the older checkpoint>
 *     <hashes>
 *     <empty line>
 *     <newer checkpoint>
 */
import type { Hash } from '../model.ts'
import { hashToBase64, parseSize } from './checkpointNote.ts'
import { type Finding, holds, malformed } from './finding.ts'
import { parseHashes } from './tlogProof.ts'

export const CONSISTENCY_HEADER = 'streaming-ingest/consistency-proof@v1'

export interface ConsistencyFile {
  /** The older checkpoint's signed note, as it is. */
  readonly oldCheckpoint: string
  readonly oldSize: bigint
  /** RFC 9162 §2.1.4; none when the sizes are equal. */
  readonly hashes: readonly Hash[]
  /** The newer checkpoint's signed note, as it is. */
  readonly checkpoint: string
}

const OLD = 'old '

export const formatConsistencyFile = (file: ConsistencyFile): string =>
  `${CONSISTENCY_HEADER}\n\n${file.oldCheckpoint}\n${formatAddCheckpoint(file)}`

/** The body of an `add-checkpoint` request (C2SP tlog-witness). */
export const formatAddCheckpoint = ({
  oldSize,
  hashes,
  checkpoint,
}: Omit<ConsistencyFile, 'oldCheckpoint'>): string =>
  `${[`${OLD}${oldSize}`, ...hashes.map(hashToBase64), ''].join('\n')}\n${checkpoint}`

/**
 * Inverse of `formatConsistencyFile`; nothing is verified. No text of a checkpoint has an empty line, so the empty
 * lines of the file are those of its layout.
 */
export function parseConsistencyFile(text: string): Finding<ConsistencyFile> {
  const [header, oldText, oldSignatures, proof, newText, newSignatures, ...more] = text.split('\n\n')
  if (header !== CONSISTENCY_HEADER) return malformed(`a consistency proof begins with ${CONSISTENCY_HEADER}`)
  if (proof === undefined || newSignatures === undefined || more.length > 0)
    return malformed('a consistency proof has an older checkpoint, its hashes and a newer checkpoint')
  const [oldLine = '', ...lines] = proof.split('\n')
  const oldSize = oldLine.startsWith(OLD) ? parseSize(oldLine.slice(OLD.length)) : null
  if (oldSize === null) return malformed('a consistency proof has a line "old" with a decimal number')
  const hashes = parseHashes(lines)
  if (!hashes.ok) return hashes
  return holds({
    oldCheckpoint: `${oldText}\n\n${oldSignatures}\n`,
    oldSize,
    hashes: hashes.value,
    checkpoint: `${newText}\n\n${newSignatures}`,
  })
}
