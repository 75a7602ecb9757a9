import { describe, expect, it } from 'vitest'
import { sha256 } from '../../src/domain/hash.ts'
import { leafIndex, offset } from '../../src/domain/model.ts'
import { type PresentableEvent, presentEvent } from '../../src/domain/presentEvent.ts'
import { eventWith, plainEvent } from './event-samples.ts'

const stored = (value: Buffer, more: Partial<PresentableEvent> = {}): PresentableEvent => ({
  topic: 'events',
  partition: 3,
  incarnation: 2,
  offset: offset(2n ** 60n),
  leafIndex: leafIndex(7n),
  id: plainEvent.id,
  classification: 'UNCLASSIFIED',
  policyTags: [],
  value,
  contentHash: sha256('content'),
  leafHash: sha256('leaf'),
  ingestedAt: new Date(1_760_000_000_123),
  ...more,
})

const hexOf = (text: string): string => Buffer.from(sha256(text), 'latin1').toString('hex')

describe('an event as it is shown', () => {
  it("has the seed's shape with the provenance filled in, and its place in the log", () => {
    expect(presentEvent(stored(eventWith({ id: plainEvent.id.toUpperCase() })))).toEqual({
      ...plainEvent,
      provenance: {
        hash: `sha256:${hexOf('content')}`,
        policyTags: [],
        classification: 'UNCLASSIFIED',
        source: 'shop',
        ingestionTime: 1_760_000_000_123,
        transformations: [{ operation: 'ingest', timestamp: 1_760_000_000_123 }],
      },
      leafHash: hexOf('leaf'),
      topic: 'events',
      partition: 3,
      incarnation: 2,
      offset: '1152921504606846976',
      leafIndex: '7',
    })
  })

  it('keeps what the producer gave, and puts ingest behind its transformations', () => {
    const given = {
      signature: 'sig',
      source: 'origin',
      ingestionTime: 1,
      policyTags: ['b', 'a', 'b'],
      classification: 'SECRET',
      transformations: [{ operation: 'mask', timestamp: 5, userId: 'u', note: 'kept' }],
      color: 'red',
    }
    const shown = presentEvent(
      stored(eventWith({ provenance: given, extra: { a: 1 } }), {
        classification: 'SECRET',
        policyTags: ['a', 'b'],
      }),
    )
    expect(shown).toMatchObject({ extra: { a: 1 } })
    expect(shown.provenance).toEqual({
      ...given,
      hash: `sha256:${hexOf('content')}`,
      policyTags: ['a', 'b'],
      ingestionTime: 1_760_000_000_123,
      transformations: [...given.transformations, { operation: 'ingest', timestamp: 1_760_000_000_123 }],
    })
  })

  it('says itself where it lies, whatever the producer wrote there', () => {
    const shown = presentEvent(
      stored(eventWith({ topic: 'forged', offset: '0', leafHash: 'forged', partition: 9 })),
    )
    expect(shown).toMatchObject({ topic: 'events', partition: 3, leafHash: hexOf('leaf') })
    expect(shown.offset).toBe('1152921504606846976')
  })

  it('shows __proto__ members as they are', () => {
    const value = Buffer.from(JSON.stringify(plainEvent).replace('{', '{"__proto__":{"x":1},'))
    const shown = presentEvent(stored(value))
    expect(Object.getOwnPropertyDescriptor(shown, '__proto__')?.value).toEqual({ x: 1 })
    expect(JSON.stringify(shown)).toContain('"__proto__":{"x":1}')
    expect(Object.getPrototypeOf(shown)).toBe(Object.prototype)
  })
})
