import { createHash } from 'node:crypto'
import canonicalize from 'canonicalize'
import { Random } from './random.ts'

/** Kafka's record headers in order; names may repeat, values may be null. */
export type Headers = readonly (readonly [name: string, value: Buffer | null])[]

export interface SourceRecord {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: Headers
  /** Kafka's timestamp in ms since the epoch. */
  readonly timestamp: number
}

interface Provenance {
  hash?: string
  signature?: string
  policyTags?: string[]
  classification?: string
  source?: string
  transformations?: { operation: string; timestamp: number; userId?: string }[]
}

/** An event of the seed's shape. */
export interface EventObject {
  id: string
  type: string
  source: string
  timestamp: number
  data: Record<string, unknown>
  metadata: {
    version: string
    correlationId?: string
    causationId?: string
    userId?: string
    tenantId?: string
  }
  provenance?: Provenance
}

export const eventTypes = [
  'entity.created',
  'entity.updated',
  'entity.deleted',
  'relationship.created',
  'document.indexed',
  'user.login',
] as const
export const eventSources = [
  'intelligence-platform',
  'copilot-service',
  'graph-api',
  'case-manager',
  'ingest-gateway',
] as const
export const tenantCount = 20
const currencies = ['EUR', 'USD', 'GBP', 'CHF'] as const
const notes = [
  'Lorem ipsum dolor sit amet, consectetur adipiscing',
  'sed do eiusmod tempor incididunt ut labore et dolo',
  'Ut enim ad minim veniam, quis nostrud exercitation',
] as const
/** Text that takes more than one byte a character, escapes, and a NUL, which is fine inside `data`. */
const rareNotes = [
  'Zürich, 東京, Ελλάδα 🚀',
  'two\nlines\tand a "quote" \\ slash',
  'with a \u0000 inside',
] as const

/** 2025-10-09T08:53:20Z. */
const firstTimestamp = 1_760_000_000_000

/** The event number `index` of a seed: about 370 bytes as JSON. */
export function makeEvent(seed: number, index: number): EventObject {
  const random = new Random(seed, index, 1)
  const event: EventObject = {
    id: random.uuid(),
    type: random.pick(eventTypes),
    source: random.pick(eventSources),
    // A few of them run backwards, as clocks of several producers do.
    timestamp: firstTimestamp + index * 5 + random.below(40),
    data: {
      orderId: `o-${index}`,
      amount: random.below(100_000) / 100,
      currency: random.pick(currencies),
      items: [
        { sku: `sku-${random.below(97)}`, qty: random.below(5) + 1 },
        { sku: `sku-${random.below(89)}`, qty: 1 },
      ],
      note: random.below(50) === 0 ? random.pick(rareNotes) : random.pick(notes),
    },
    metadata: {
      version: '1',
      correlationId: `c-${index >> 3}`,
      userId: `u-${random.below(1000)}`,
      tenantId: tenantOf(random.below(tenantCount)),
    },
  }
  if (random.below(10) === 0) event.provenance = makeProvenance(random, event)
  return event
}

const tenantOf = (number: number): string => `tenant-${String(number + 1).padStart(3, '0')}`

function makeProvenance(random: Random, event: EventObject): Provenance {
  const provenance: Provenance = {
    policyTags: ['SENSITIVE', 'PII'],
    classification: random.pick(['UNCLASSIFIED', 'CONFIDENTIAL', 'SECRET', 'TOP_SECRET']),
    transformations: [{ operation: 'normalise', timestamp: event.timestamp }],
  }
  if (random.below(4) === 0) {
    const hash = contentHash({ ...event, provenance })
    provenance.hash = random.below(2) === 0 ? hash : `sha256:${hash}`
  }
  return provenance
}

/** The content hash as a producer would compute it (design §5), with a canonicalizer that is not the platform's. */
export function contentHash(event: EventObject): string {
  const { id, type, source, timestamp, data, metadata, provenance } = event
  const text = canonicalize({
    v: 1,
    id,
    type,
    source,
    timestamp,
    data,
    metadata,
    policyTags: [...new Set(provenance?.policyTags ?? [])].sort(),
    classification: provenance?.classification ?? 'UNCLASSIFIED',
  })
  return createHash('sha256')
    .update(text ?? '')
    .digest('hex')
}

/** The record that carries an event: keys and headers as many producers make them, the odd ones included. */
export function carry(random: Random, event: EventObject, value: Buffer | null): SourceRecord {
  return {
    key: makeKey(random, event),
    value,
    headers: makeHeaders(random, event),
    timestamp: event.timestamp,
  }
}

const emptyBytes = Buffer.alloc(0)
/** As Kafka's abort markers have: a client that looks at keys alone takes it for one. */
const zeroKey = Buffer.alloc(4)

function makeKey(random: Random, event: EventObject): Buffer | null {
  switch (random.below(40)) {
    case 0:
      return null
    case 1:
      return emptyBytes
    case 2:
      return zeroKey
    case 3:
      return Buffer.from([0xff, 0x00, random.below(256), 0xfe])
    default:
      return Buffer.from(`${event.metadata.tenantId}/${String(event.data['orderId'])}`)
  }
}

const contentType = Buffer.from('application/json')
const noHeaders: Headers = []
/** What most records carry: one object per type, so that it is encoded and hashed but once. */
const commonHeaders = new Map<string, Headers>(
  eventTypes.map((type) => [
    type,
    [
      ['event-type', Buffer.from(type)],
      ['content-type', contentType],
    ],
  ]),
)

function makeHeaders(random: Random, event: EventObject): Headers {
  const common = commonHeaders.get(event.type) ?? noHeaders
  switch (random.below(20)) {
    case 0:
      return noHeaders
    case 1:
      return [
        ['trace', Buffer.from(event.metadata.correlationId ?? '')],
        ...common,
        ['trace', Buffer.from('second')],
        ['trace', null],
      ]
    case 2:
      return [
        ['10', Buffer.from([random.below(256), 0x80, 0x00])],
        ['9', emptyBytes],
        ['größe', Buffer.from('groß')],
        ...common,
      ]
    default:
      return common
  }
}
