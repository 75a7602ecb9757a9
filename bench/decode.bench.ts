/** Speed of the pure steps of ingest on one core: decoding with and without the fast path, leaf, tree. */
import { randomUUID } from 'node:crypto'
import { createDecoder } from '../src/domain/decode.ts'
import { preAuthEncoding } from '../src/domain/dsse.ts'
import { canonicalEvent, policyOf, type SourceEvent } from '../src/domain/eventSchema.ts'
import { formatSigningKey, parseSigningKey } from '../src/domain/evidence/noteKeys.ts'
import { recordLeaf } from '../src/domain/leaf.ts'
import { appendLeaves, emptyFrontier } from '../src/domain/merkle.ts'
import type { Hash, LeafIndex, SourceRecords } from '../src/domain/model.ts'
import { EVENT_PAYLOAD_TYPE, type SourceSignatures } from '../src/domain/producerSignature.ts'

const EVENTS = 20_000
const SIGNED_EVENTS = 1_000
const ROUNDS = 10

/** The 370-byte event of the project's figures. */
function makeEvent(index: number): string {
  return JSON.stringify({
    id: randomUUID(),
    type: ['order.created', 'order.paid', 'order.shipped', 'user.login'][index % 4],
    source: `svc-${index % 10}`,
    timestamp: 1_760_000_000_000 + index,
    data: {
      orderId: `o-${index}`,
      amount: (index % 1000) / 10 + 0.01,
      currency: 'EUR',
      items: [
        { sku: `sku-${index % 97}`, qty: (index % 5) + 1 },
        { sku: `sku-${index % 89}`, qty: 1 },
      ],
      note: `Lorem ipsum dolor sit amet, consectetur adipiscing elit ${index}`,
    },
    metadata: {
      version: '1',
      correlationId: `c-${index >> 3}`,
      userId: `u-${index % 1000}`,
      tenantId: `t-${index % 20}`,
    },
  })
}

/** Records laid out as in a fetched batch: key, value, headers one after another. */
function layOut(values: readonly string[]): SourceRecords {
  const count = values.length
  const records = {
    count,
    offsets: new BigInt64Array(count),
    timestamps: new BigInt64Array(count),
    keyStarts: new Int32Array(count),
    keyEnds: new Int32Array(count),
    valueStarts: new Int32Array(count),
    valueEnds: new Int32Array(count),
    headerStarts: new Int32Array(count),
    headerEnds: new Int32Array(count),
  }
  const parts: Buffer[] = []
  let at = 0
  const add = (bytes: Buffer): number => {
    parts.push(bytes)
    at += bytes.length
    return at
  }
  values.forEach((value, index) => {
    records.offsets[index] = BigInt(index)
    records.timestamps[index] = 1_760_000_000_000n
    records.keyStarts[index] = at
    records.keyEnds[index] = add(Buffer.from(`t-${index % 20}`))
    records.valueStarts[index] = at
    records.valueEnds[index] = add(Buffer.from(value))
    records.headerStarts[index] = at
    records.headerEnds[index] = add(Buffer.from([0]))
  })
  return { ...records, bytes: Buffer.concat(parts) }
}

function measure(name: string, events: number, work: () => void): void {
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < ROUNDS; round++) {
    const started = performance.now()
    work()
    best = Math.min(best, performance.now() - started)
  }
  const micros = (best * 1000) / events
  console.log(`${name.padEnd(40)} ${micros.toFixed(2).padStart(6)} µs  ${Math.round(1e6 / micros)}/s`)
}

const records = layOut(Array.from({ length: EVENTS }, (_, index) => makeEvent(index)))
const spaced = layOut(
  Array.from({ length: EVENTS }, (_, index) =>
    JSON.stringify(JSON.parse(makeEvent(index)), null, 1).replaceAll('\n', ' '),
  ),
)

const key = parseSigningKey(formatSigningKey('bench.example', Buffer.alloc(32, 1)))
if (!key.ok) throw new Error(key.detail)
const signingKey = key.value

/** Events signed as a producer does; fewer, since a signature costs more than all else together. */
const signed = layOut(
  Array.from({ length: SIGNED_EVENTS }, (_, index) => {
    const event = JSON.parse(makeEvent(index)) as SourceEvent
    const body = Buffer.from(canonicalEvent(event, policyOf(event)))
    const sig = signingKey.sign(preAuthEncoding(EVENT_PAYLOAD_TYPE, body)).toString('base64')
    const signature = JSON.stringify({ payloadType: EVENT_PAYLOAD_TYPE, signatures: [{ sig }] })
    return JSON.stringify({ ...event, provenance: { signature } })
  }),
)

const alwaysValid = { key: signingKey.verifierKey, validFrom: new Date(0), validUntil: null }
const mustSign = (names: readonly string[]): ReadonlyMap<string, SourceSignatures> =>
  new Map(names.map((name) => [name, { policy: 'require', keys: [alwaysValid] }]))
const nobody = mustSign([])
const others = mustSign(Array.from({ length: 1_000 }, (_, index) => `other-${index}`))
const everybody = mustSign(Array.from({ length: 10 }, (_, index) => `svc-${index}`))

function decodeAll(fastPath: boolean, source: SourceRecords, sources = nobody): void {
  const decode = createDecoder({ maxValueBytes: 1 << 20, fastPath, signatures: { sources, now: Date.now } })
  for (let index = 0; index < source.count; index++) {
    const decoded = decode(
      source.bytes,
      source.valueStarts[index] as number,
      source.valueEnds[index] as number,
    )
    if (decoded.kind !== 'event') throw new Error(decoded.detail)
  }
}

function allLeaves(): Hash[] {
  const leaves: Hash[] = []
  for (let index = 0; index < records.count; index++) leaves.push(recordLeaf(records, index))
  return leaves
}

const leaves = allLeaves()
measure('decode through zod', EVENTS, () => decodeAll(false, records))
measure('decode, fast path', EVENTS, () => decodeAll(true, records))
measure('decode, fast path, 1,000 others sign', EVENTS, () => decodeAll(true, records, others))
measure('decode, signed and verified', SIGNED_EVENTS, () => decodeAll(true, signed, everybody))
measure('decode, fast path, with white space', EVENTS, () => decodeAll(true, spaced))
measure('leaf', EVENTS, allLeaves)
measure('append to the tree', EVENTS, () => {
  appendLeaves({ size: 0n as LeafIndex, frontier: emptyFrontier }, leaves)
})
