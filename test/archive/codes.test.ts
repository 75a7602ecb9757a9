/** Signatures of records in an archive, by the producers' keys that it restores. */
import { expect, it } from 'vitest'
import { createJudge } from '../../src/archive/codes.ts'
import { leafOf, type PlainRecord, type ReadRecord } from '../../src/domain/evidence/exportedRecord.ts'
import { offset } from '../../src/domain/model.ts'
import type { SignaturePolicy } from '../../src/domain/producerSignature.ts'
import { testKey } from '../domain/evidence/keys.ts'
import { eventValue } from '../verification/trueLog.ts'
import { verdictOf } from './fixture.ts'

const producer = testKey('shop.example', 1)
const judgeWith = (policy: SignaturePolicy) =>
  createJudge(verdictOf, [
    {
      ...{ source: 'shop', policy },
      keys: [{ key: producer.verifierKey, validFrom: new Date(0), validUntil: null }],
    },
  ])

/** Unsigned, of the source `shop`. */
function record(code?: string): ReadRecord {
  const content: PlainRecord = {
    kind: 'record',
    ...{ offset: offset(7n), timestamp: 0n, key: null, headers: Buffer.from([0]) },
    value: eventValue(7n),
  }
  return {
    ...{ origin: 'o', leafIndex: 7n, content, leaf: leafOf(content), ingestedAt: 1_760_000_000_000 },
    ...(code !== undefined && { deadLetter: { code, detail: '' } }),
  }
}

it('an event that should have been refused stays one, and is doubted', () => {
  expect(judgeWith('require').judge(record())).toMatchObject({ isDoubted: true, decoded: { kind: 'event' } })
  expect(judgeWith('verify').judge(record())).toMatchObject({ isDoubted: false, decoded: { kind: 'event' } })
  expect(judgeWith('require').judge(record('SIGNATURE'))).toBeNull()
})

it('a refusal that the keys and policies do not bear out is doubted', () => {
  expect(judgeWith('verify').wouldLetIn(record('SIGNATURE'))).toBe(true)
  expect(judgeWith('require').wouldLetIn(record('SIGNATURE'))).toBe(false)
  // Nobody looks at signatures of that source any more: it cannot be told.
  expect(judgeWith('ignore').wouldLetIn(record('SIGNATURE'))).toBe(false)
  expect(judgeWith('verify').wouldLetIn(record('TOO_LARGE'))).toBe(false)
})
