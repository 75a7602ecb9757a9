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
      const { origin, size, root } = verified.checkpoint
      return `verified: ${origin} has ${size} leaves and the root ${hashToHex(root)}, signed by ${signers(verified.checkpoint)}`
    }
    case 'inclusion': {
      const { origin, size } = verified.checkpoint
      const { content, leafIndex } = verified.record
      return `verified: ${describeContent(content)} is leaf ${leafIndex} of ${origin}, in the checkpoint of ${size} leaves signed by ${signers(verified.checkpoint)}`
    }
    case 'consistency': {
      const { old, checkpoint } = verified
      return `verified: the ${checkpoint.size} leaves of ${checkpoint.origin} begin with the ${old.size} of the older checkpoint, signed by ${signers(old)} and ${signers(checkpoint)}`
    }
    case 'records':
      return describeRecords(verified.count, verified.first)
    default:
      return what satisfies never
  }
}

const signers = ({ signedBy, cosignedBy = [] }: OpenedCheckpoint): string =>
  [
    signedBy.map(mark).join(', '),
    ...cosignedBy.map(({ key, timestamp }) => `cosigned by ${mark(key)} at ${instant(timestamp)}`),
  ].join(', ')

/** Seconds since 1970 that no date can be made of are shown as they are. */
function instant(timestamp: bigint): string {
  const date = new Date(Number(timestamp) * 1_000)
  return Number.isNaN(date.getTime()) ? `${timestamp} s` : date.toISOString()
}

const mark = ({ name, keyId }: Pick<VerifierKey, 'name' | 'keyId'>): string => `${name}+${keyId}`

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

const presentCheckpoint = ({ origin, size, root, signedBy, cosignedBy }: OpenedCheckpoint) => ({
  origin,
  size: `${size}`,
  root: hashToHex(root),
  signedBy: signedBy.map(mark),
  ...(cosignedBy !== undefined && {
    cosignedBy: cosignedBy.map(({ key, timestamp }) => ({ witness: mark(key), timestamp: `${timestamp}` })),
  }),
})
