/** Codes of dead letters in an archive, held against their bytes and against the keys of producers: no leaf covers them. */
import type { Manifest } from '../domain/archive/manifest.ts'
import type { SignatureRegistry } from '../domain/decode.ts'
import { type ReadRecord, singleRecord } from '../domain/evidence/exportedRecord.ts'
import { parseVerifierKey, type VerifierKey } from '../domain/evidence/noteKeys.ts'
import type { Decoded } from '../domain/model.ts'
import { BATCH, type CodeStanding, standingOfCode } from '../domain/verification/codeStanding.ts'
import type { RecordVerdict } from '../domain/verification/deriveRow.ts'
import { ServiceError } from '../errors.ts'
import type { ProducerSource, RestoredRepeat } from '../ports.ts'

export interface Judge {
  /** Null for what has no code. */
  codeOf(record: ReadRecord): CodeStanding | null
  /** What a dead letter is said to repeat; null for any other. */
  repeatOf(record: ReadRecord): RestoredRepeat | null
  /** Refused for its signature, and the keys and policies of the manifest would let it in. */
  wouldLetIn(record: ReadRecord): boolean
  /** What a record without a code is; null for a gap, a batch and a dead letter. */
  judge(record: ReadRecord): { readonly decoded: Decoded; readonly isDoubted: boolean } | null
}

/** `verdictOf` makes verdicts over records by the signatures that producers must show. */
export function createJudge(
  verdictOf: (signatures: SignatureRegistry) => RecordVerdict,
  producers: readonly ProducerSource[],
): Judge {
  let clock = 0
  const sources = new Map(
    producers.filter(({ policy }) => policy !== 'ignore').map((source) => [source.source, source]),
  )
  const plain = verdictOf({ sources: new Map(), now: () => 0 })
  const signed = verdictOf({ sources, now: () => clock })
  const signedAt = (record: ReadRecord): Decoded | null => {
    if (record.content.kind !== 'record') return null
    clock = record.ingestedAt ?? 0
    return signed(singleRecord(record.content), 0)
  }
  return {
    codeOf({ content, deadLetter }) {
      if (content.kind === 'batch') return deadLetter?.code === BATCH ? 'proven' : 'contradicted'
      if (deadLetter === undefined) return null
      if (content.kind === 'gap') return 'contradicted'
      return standingOfCode(deadLetter.code, plain(singleRecord(content), 0))
    },
    repeatOf({ content, deadLetter, leafIndex }) {
      const code = deadLetter?.code
      if (content.kind !== 'record' || (code !== 'DUPLICATE_ID' && code !== 'ID_CONFLICT')) return null
      const decoded = plain(singleRecord(content), 0)
      if (decoded.kind !== 'event') return null
      const { id, contentHash } = decoded
      return { leafIndex, offset: content.offset, id, contentHash, code }
    },
    wouldLetIn(record) {
      if (record.deadLetter?.code !== 'SIGNATURE') return false
      const decoded = signedAt(record)
      return decoded?.kind === 'event' && sources.has(decoded.source)
    },
    judge(record) {
      const { content, deadLetter } = record
      if (content.kind !== 'record' || deadLetter !== undefined) return null
      const decoded = signedAt(record)
      if (decoded === null) return null
      // Whose keys and policies those of its time were, nobody knows: it stays what it was.
      return decoded.kind === 'rejected' && decoded.code === 'SIGNATURE'
        ? { decoded: plain(singleRecord(content), 0), isDoubted: true }
        : { decoded, isDoubted: false }
    },
  }
}

/** Throws ARCHIVE_DAMAGED for a key that is none. */
export const producersOf = ({ producers }: Pick<Manifest, 'producers'>): readonly ProducerSource[] =>
  producers.map(({ source, policy, keys }) => ({
    ...{ source, policy },
    keys: keys.map(({ key, validFrom, validUntil }) => ({
      key: keyOf(key),
      validFrom: new Date(validFrom),
      validUntil: validUntil === null ? null : new Date(validUntil),
    })),
  }))

export function keyOf(text: string): VerifierKey {
  const key = parseVerifierKey(text)
  if (!key.ok) throw new ServiceError('ARCHIVE_DAMAGED', `a key in the manifest: ${key.detail}`)
  return key.value
}
