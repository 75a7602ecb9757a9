/** Events for the decoder's tests: a plain one, and arbitrary ones near the edge of what is valid. */
import fc from 'fast-check'

export const plainEvent = {
  id: '3f2a9c1e-7d54-4b8a-9e0f-5c6d7e8f9a0b',
  type: 'order.created',
  source: 'shop',
  timestamp: 1_760_000_000_000,
  data: { orderId: 'o-1', amount: 12.5, items: [{ sku: 'a', qty: 1 }] },
  metadata: { version: '1', correlationId: 'c-1', userId: 'u-1', tenantId: 't-1' },
} as const

/** The plain event with other members; `undefined` removes one. */
export const eventWith = (changes: Readonly<Record<string, unknown>>): Buffer =>
  Buffer.from(JSON.stringify({ ...plainEvent, ...changes }))

const text = fc.oneof(
  fc.string({ maxLength: 12 }),
  fc.string({ unit: 'grapheme', maxLength: 8 }),
  fc.string({ unit: 'binary', maxLength: 8 }),
  fc.constantFrom(
    '',
    'order.created',
    'a"b',
    'a\\b',
    'tab\t',
    'nul\u0000',
    '\ud800',
    'é',
    '😀',
    'x'.repeat(257),
  ),
)

/** What producers really send, mostly; then what breaks things. */
const usualText = fc.oneof(
  { weight: 20, arbitrary: fc.stringMatching(/^[a-zA-Z][a-zA-Z0-9._-]{0,15}$/) },
  { weight: 1, arbitrary: text },
)
/** Left out, mostly. */
const rarely = (value: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: value })

const number = fc.oneof(
  fc.integer(),
  fc.double(),
  fc.constantFrom(0, -0, 0.1, 1e21, 1e-7, 0.000001, 253_402_300_799_999, 253_402_300_800_000, -1, 2 ** 53),
)

const anyValue = fc.letrec((tie) => ({
  any: fc.oneof(
    { depthSize: 'small' },
    text,
    number,
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('any'), { maxLength: 4 }),
    fc.dictionary(fc.oneof(text, fc.constantFrom('b', 'a', '10', '9', '__proto__')), tie('any'), {
      maxKeys: 5,
    }),
  ),
})).any

/** A value of the right kind most of the time. */
const mostly = (usual: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 12, arbitrary: usual }, { weight: 1, arbitrary: anyValue })

const id = fc.oneof(
  { weight: 20, arbitrary: fc.uuid() },
  { weight: 3, arbitrary: fc.uuid().map((uuid) => uuid.toUpperCase()) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '00000000-0000-0000-0000-000000000000',
      'ffffffff-ffff-ffff-ffff-ffffffffffff',
      '3f2a9c1e-7d54-9b8a-9e0f-5c6d7e8f9a0b',
      '3f2a9c1e-7d54-4b8a-ce0f-5c6d7e8f9a0b',
      '3f2a9c1e-7d54-4b8a-9e0f-5c6d7e8f9a0',
    ),
  },
)

const transformation = fc.record(
  { operation: mostly(usualText), timestamp: mostly(number), userId: mostly(usualText), more: usualText },
  { requiredKeys: ['operation', 'timestamp'] },
)
const provenance = fc.record(
  {
    hash: rarely(
      fc.constantFrom(
        '0'.repeat(64),
        `sha256:${'a'.repeat(64)}`,
        'abc',
        'g'.repeat(64),
        'SHA256:'.padEnd(71, 'a'),
      ),
    ),
    signature: mostly(usualText),
    policyTags: mostly(fc.array(fc.oneof(fc.constantFrom('PII', 'B', 'a'), usualText), { maxLength: 4 })),
    classification: mostly(
      fc.constantFrom('UNCLASSIFIED', 'SECRET', 'TOP_SECRET', 'CONFIDENTIAL', 'CONFIDENTIAL', 'secret'),
    ),
    source: mostly(usualText),
    ingestionTime: mostly(number),
    transformations: mostly(fc.array(transformation, { maxLength: 2 })),
    more: usualText,
  },
  { requiredKeys: [] },
)

const members = {
  id: mostly(id),
  type: mostly(usualText),
  source: mostly(usualText),
  timestamp: mostly(fc.oneof({ weight: 5, arbitrary: fc.nat() }, { weight: 1, arbitrary: number })),
  data: mostly(fc.dictionary(usualText, fc.oneof(anyValue, number, usualText), { maxKeys: 6 })),
  metadata: mostly(
    fc.record(
      {
        version: mostly(usualText),
        correlationId: mostly(usualText),
        userId: mostly(text),
        tenantId: mostly(usualText),
        more: anyValue,
      },
      { requiredKeys: ['version'] },
    ),
  ),
  provenance: fc.oneof(fc.constant(undefined), provenance),
  more: rarely(anyValue),
}

/** JSON texts of events, valid and not, members in any order, with and without white space. */
export const eventTexts: fc.Arbitrary<string> = fc
  .tuple(
    fc.record(members, { requiredKeys: ['id', 'type', 'source', 'timestamp', 'data', 'metadata'] }),
    fc.shuffledSubarray(Object.keys(members), { minLength: Object.keys(members).length }),
    fc.constantFrom('', ' ', '\t', '\n'),
  )
  .map(([event, order, space]) => {
    const record: Readonly<Record<string, unknown>> = event
    const sorted = Object.fromEntries(order.map((name) => [name, record[name]]))
    return JSON.stringify(sorted, null, space)
  })
