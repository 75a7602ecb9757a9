import type { DeadLetterCode } from '../../src/domain/model.ts'
import { carry, contentHash, type EventObject, makeEvent, type SourceRecord } from './event.ts'
import { Random } from './random.ts'

interface BadKind {
  readonly code: DeadLetterCode
  make(event: EventObject): Buffer | null
}

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))
const schema = (change: (event: EventObject) => unknown): BadKind => ({
  code: 'SCHEMA',
  make: (event) => json(change(event)),
})
const without = (event: EventObject, name: keyof EventObject): unknown => ({ ...event, [name]: undefined })

/** A nested array this deep is more than any recursive parser should be asked to take. */
const deepLevels = 10_000
const deep = '['.repeat(deepLevels) + ']'.repeat(deepLevels)
/** MAX_VALUE_BYTES of the platform, as it is by default. */
const largestValueBytes = 1_048_576

/** Everything that ingest must refuse, by name, each with the reason that it must give. */
export const badKinds = {
  'invalid UTF-8': {
    code: 'INVALID_UTF8',
    make: (event) => {
      const value = json(event)
      value[value.length - 4] = 0xff
      return value
    },
  },
  'cut-off JSON': { code: 'INVALID_JSON', make: (event) => json(event).subarray(0, 100) },
  'empty value': { code: 'INVALID_JSON', make: () => Buffer.alloc(0) },
  'no JSON': { code: 'INVALID_JSON', make: () => Buffer.from('<event/>') },
  'byte order mark': { code: 'INVALID_JSON', make: (event) => Buffer.from(`\ufeff${JSON.stringify(event)}`) },
  'nested 10,000 deep': {
    code: 'TOO_DEEP',
    make: (event) => Buffer.from(JSON.stringify(event).replace('"data":{', `"data":{"deep":${deep},`)),
  },
  'no object': schema(() => [1, 2, 3]),
  'no id': schema((event) => without(event, 'id')),
  'no data': schema((event) => without(event, 'data')),
  'an id that is no UUID': schema((event) => ({ ...event, id: 'order-17' })),
  'mistyped source': schema((event) => ({ ...event, source: 17 })),
  'version as a number': schema((event) => ({ ...event, metadata: { ...event.metadata, version: 1 } })),
  'unknown classification': schema((event) => ({ ...event, provenance: { classification: 'COSMIC' } })),
  'NUL in the type': schema((event) => ({ ...event, type: 'entity\u0000created' })),
  'lone surrogate': schema((event) => ({ ...event, data: { ...event.data, note: '\ud800' } })),
  'type over 256 characters': schema((event) => ({ ...event, type: 'x'.repeat(257) })),
  'negative timestamp': schema((event) => ({ ...event, timestamp: -1 })),
  'fractional timestamp': schema((event) => ({ ...event, timestamp: event.timestamp + 0.5 })),
  'timestamp out of range': schema((event) => ({ ...event, timestamp: 253_402_300_800_000 })),
  'wrong hash': {
    code: 'HASH_MISMATCH',
    make: (event) => json({ ...event, provenance: { hash: contentHash({ ...event, type: 'other' }) } }),
  },
  tombstone: { code: 'TOMBSTONE', make: () => null },
  'too large': {
    code: 'TOO_LARGE',
    make: (event) => json({ ...event, data: { padding: 'x'.repeat(largestValueBytes) } }),
  },
  'made by a replay': { code: 'REPLAYED', make: (event) => json(event) },
} as const satisfies Record<string, BadKind>

export type BadKindName = keyof typeof badKinds
const names = Object.keys(badKinds) as BadKindName[]
const common = names.filter((name) => name !== 'too large')
/** A record of a mebibyte, so not as often as the others. */
const tooLargeEvery = 1_000

/** Which kind the bad record number `count` is: all of them in turn, the large one rarely. */
export function badKindOf(count: number): BadKindName {
  if (count % tooLargeEvery === common.length) return 'too large'
  return common[count % common.length] ?? 'no JSON'
}

/** The bad record in place of the event `index`. */
export function makeBadRecord(seed: number, index: number, name: BadKindName): SourceRecord {
  const event = makeEvent(seed, index)
  const record = carry(new Random(seed, index, 2), event, badKinds[name].make(event))
  if (name !== 'made by a replay') return record
  return { ...record, headers: [...record.headers, ['replay-id', Buffer.from('elsewhere')]] }
}
