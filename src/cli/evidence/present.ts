import type { OpenedCheckpoint } from '../../domain/evidence/checkpointNote.ts'
import type { LeafContent, ReadRecord } from '../../domain/evidence/exportedRecord.ts'
import type { VerifierKey } from '../../domain/evidence/noteKeys.ts'
import type { Verified } from '../../domain/evidence/verifyEvidence.ts'
import { hashToHex } from '../../domain/hash.ts'

/** One line for people. */
export function describeVerified(verified: Verified): string {
  const { what } = verified
  switch (what) {
    case 'checkpoint': {
      const { origin, size, root, signedBy } = verified.checkpoint
      return `verified: ${origin} has ${size} leaves and the root ${hashToHex(root)}, signed by ${names(signedBy)}`
    }
    case 'inclusion': {
      const { origin, size, signedBy } = verified.checkpoint
      const { content, leafIndex } = verified.record
      return `verified: ${describeContent(content)} is leaf ${leafIndex} of ${origin}, in the checkpoint of ${size} leaves signed by ${names(signedBy)}`
    }
    case 'consistency': {
      const { old, checkpoint } = verified
      return `verified: the ${checkpoint.size} leaves of ${checkpoint.origin} begin with the ${old.size} of the older checkpoint, signed by ${names(old.signedBy)} and ${names(checkpoint.signedBy)}`
    }
    case 'records':
      return describeRecords(verified.count, verified.first)
    default:
      return what satisfies never
  }
}

const names = (keys: readonly VerifierKey[]): string => keys.map(mark).join(', ')
const mark = ({ name, keyId }: VerifierKey): string => `${name}+${keyId}`

function describeContent(content: LeafContent): string {
  switch (content.kind) {
    case 'record':
      return `the record at offset ${content.offset}`
    case 'gap':
      return `the gap from offset ${content.from} to ${content.to}`
    case 'batch':
      return `the batch from offset ${content.firstOffset} to ${content.lastOffset}`
    default:
      return content satisfies never
  }
}

function describeRecords(count: number, first: ReadRecord): string {
  const caution = 'that a log holds it takes a proof (verify PROOF --event FILE)'
  if (count === 1)
    return `read: ${describeContent(first.content)} has the leaf ${hashToHex(first.leaf)}; ${caution}`
  return `read: each of ${count} exported records has the leaf beside it; ${caution.replace(' it ', ' them ')}`
}

/** The same for programs: numbers of leaves as decimal strings, hashes in hex. */
export function presentVerified(verified: Verified): unknown {
  const { what } = verified
  switch (what) {
    case 'checkpoint':
      return { verified: what, checkpoint: presentCheckpoint(verified.checkpoint) }
    case 'inclusion': {
      const { leafIndex, leaf } = verified.record
      return {
        verified: what,
        checkpoint: presentCheckpoint(verified.checkpoint),
        leafIndex: `${leafIndex}`,
        leaf: hashToHex(leaf),
      }
    }
    case 'consistency':
      return {
        verified: what,
        oldCheckpoint: presentCheckpoint(verified.old),
        checkpoint: presentCheckpoint(verified.checkpoint),
      }
    case 'records':
      return { read: what, count: verified.count, firstLeaf: hashToHex(verified.first.leaf) }
    default:
      return what satisfies never
  }
}

const presentCheckpoint = ({ origin, size, root, signedBy }: OpenedCheckpoint) => ({
  origin,
  size: `${size}`,
  root: hashToHex(root),
  signedBy: signedBy.map(mark),
})
