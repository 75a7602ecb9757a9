import fc from 'fast-check'
import { expect, test } from 'vitest'
import { numberLiteral, textLiteral, timeLiteral } from '../../src/store/literals.ts'
import { withClient } from '../support/database.ts'
import { useStore } from './fixture.ts'

const fixture = useStore('literals')

test('a text literal is read back as the text it was made from', async () => {
  await withClient(fixture.database.appUrl, (client) =>
    fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string({ unit: 'binary' }).filter((text) => text.isWellFormed() && !text.includes('\u0000')),
          fc.string({ unit: fc.constantFrom("'", '\\', '"', '$', ';', '-', '\n', 'E', 'é', '😀') }),
        ),
        async (text) => {
          const { rows } = await client.query(`select ${textLiteral(text)} as text`)
          expect(rows).toEqual([{ text }])
        },
      ),
      { numRuns: 200 },
    ),
  )
  for (const bad of ['\u0000', 'a\u0000b', '\ud800', '\udfff'])
    expect(() => textLiteral(bad)).toThrow(RangeError)
})

test('numbers and times are read back as they were', async () => {
  await withClient(fixture.database.appUrl, async (client) => {
    for (const number of [0n, -1n, 2n ** 63n - 1n, -(2n ** 63n) + 1n]) {
      const { rows } = await client.query(
        `select 1 -${numberLiteral(number)}::numeric = 1 - $1::numeric as same`,
        [number.toString()],
      )
      expect(rows).toEqual([{ same: true }])
    }
    for (const ms of [0, 1_700_000_000_123, 253_402_300_799_999]) {
      const { rows } = await client.query(
        `select (extract(epoch from ${timeLiteral(ms)}) * 1000)::bigint::text as ms`,
      )
      expect(rows).toEqual([{ ms: String(ms) }])
    }
  })
  for (const bad of [1.5, Number.NaN, 2 ** 53]) expect(() => numberLiteral(bad)).toThrow(RangeError)
})
