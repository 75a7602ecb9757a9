import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  formatOrigin,
  isAnsweredBy,
  isInstanceName,
  parseOrigin,
} from '../../../src/domain/evidence/origin.ts'

const log = {
  instance: 'example.com/ingest',
  topic: 'orders',
  partition: 3,
  topicId: '3f2a9c1e-7d54-4b8a-9e0f-5c6d7e8f9a0b',
  incarnation: 1,
  startOffset: 0n,
}
const first = 'example.com/ingest/orders/3/3f2a9c1e-7d54-4b8a-9e0f-5c6d7e8f9a0b'

describe('the origin of a log', () => {
  it('names instance, topic, partition and topic id, and what sets it apart from the first log from offset 0', () => {
    expect(formatOrigin(log)).toBe(first)
    expect(formatOrigin({ ...log, incarnation: 2 })).toBe(`${first}/2@0`)
    expect(formatOrigin({ ...log, startOffset: 17n })).toBe(`${first}/1@17`)
    expect(formatOrigin({ ...log, incarnation: 3, startOffset: 17n })).toBe(`${first}/3@17`)
    expect(() => formatOrigin({ ...log, instance: 'a b' })).toThrow(RangeError)
  })

  it('belongs to one log only, whatever the names are', () => {
    const part = fc.stringMatching(/^[a-z0-9._-]{1,12}$/)
    const logs = fc.record({
      instance: fc
        .array(fc.oneof(part, fc.constantFrom('0', '7', log.topicId)), { minLength: 1, maxLength: 6 })
        .map((parts) => parts.join('/')),
      topic: fc.oneof(part, fc.constant(log.topicId)),
      partition: fc.nat(),
      topicId: fc.uuid(),
      incarnation: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
      startOffset: fc.oneof(fc.constant(0n), fc.bigInt({ min: 0n, max: 2n ** 63n - 1n })),
    })
    fc.assert(
      fc.property(logs, (each) => {
        expect(parseOrigin(formatOrigin(each))).toEqual(each)
      }),
    )
  })

  it('is no origin of ours in another form', () => {
    const id = log.topicId
    const others = [
      '',
      'sum.golang.org',
      'go.sum database tree',
      `orders/3/${id}`,
      `/orders/3/${id}`,
      `${first}/`,
    ]
    const spoiled = [
      `${first}/1`,
      `${first}/2`,
      `${first}/1@0`,
      `${first}/1@`,
      `${first}/2@07`,
      `${first}/02@0`,
      `${first}/0@5`,
      first.toUpperCase(),
      first.replace('/3/', '/03/'),
    ]
    for (const origin of [...others, ...spoiled, `a b/orders/3/${id}`, `a/or ders/3/${id}`])
      expect([origin, parseOrigin(origin)]).toEqual([origin, null])
  })

  it('is answered for by a key of its name, or of one above', () => {
    expect(isAnsweredBy(first, 'example.com/ingest')).toBe(true)
    expect(isAnsweredBy(first, 'example.com')).toBe(true)
    expect(isAnsweredBy(first, first)).toBe(true)
    for (const name of ['example.com/ing', 'example.com/ingest/', `${first}/2`, 'example.org'])
      expect([name, isAnsweredBy(first, name)]).toEqual([name, false])
  })

  it('begins with a name that a key can have', () => {
    for (const name of ['a', 'example.com/ingest', 'ü']) expect(isInstanceName(name)).toBe(true)
    for (const name of ['', '/a', 'a/', 'a b', 'a+b', 'a\n', 'a'.repeat(201)])
      expect([name, isInstanceName(name)]).toEqual([name, false])
  })
})
