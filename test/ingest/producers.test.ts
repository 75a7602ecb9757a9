import { afterAll, beforeAll, expect, it } from 'vitest'
import { createDecoder } from '../../src/domain/decode.ts'
import { preAuthEncoding } from '../../src/domain/dsse.ts'
import { canonicalEvent, policyOf, type SourceEvent } from '../../src/domain/eventSchema.ts'
import type { SigningKey } from '../../src/domain/evidence/noteKeys.ts'
import { EVENT_PAYLOAD_TYPE } from '../../src/domain/producerSignature.ts'
import { type ProducerRegistry, watchProducers } from '../../src/ingest/producers.ts'
import { createLogger } from '../../src/logger.ts'
import { createDatabase, type Database } from '../../src/store/database.ts'
import { createStore } from '../../src/store/store.ts'
import { testKey } from '../domain/evidence/keys.ts'
import { useStore } from '../store/fixture.ts'
import { withClient } from '../support/database.ts'
import { Gate } from '../support/gate.ts'
import { until } from '../support/platform.ts'
import { validEvent } from '../support/source.ts'

const fixture = useStore('watch_producers')
const key = testKey('shop.example', 1).verifierKey
const REFRESH_MS = 20
let gate: Gate
let behindGate: Database
let logged = ''
const log = createLogger({
  level: 'warn',
  destination: {
    write: (line: string) => {
      logged += line
    },
  },
})

beforeAll(async () => {
  gate = await Gate.to(new URL(fixture.database.appUrl).host)
  const url = new URL(fixture.database.appUrl)
  url.host = gate.address
  behindGate = createDatabase({ url: url.href })
})
afterAll(async () => {
  await behindGate.close()
  await gate.close()
})

function signedBy(signer: SigningKey, event: Record<string, unknown>): Buffer {
  const source = event as unknown as SourceEvent
  const message = preAuthEncoding(EVENT_PAYLOAD_TYPE, Buffer.from(canonicalEvent(source, policyOf(source))))
  const signatures = [{ sig: signer.sign(message).toString('base64') }]
  const signature = JSON.stringify({ payloadType: EVENT_PAYLOAD_TYPE, signatures })
  return Buffer.from(JSON.stringify({ ...event, provenance: { signature } }))
}

const watch = (signal: AbortSignal): Promise<ProducerRegistry> => {
  const { producers } = createStore(behindGate)
  return watchProducers(() => producers.signatureSources(), log, signal, REFRESH_MS)
}

it('knows nothing before the database has said who must sign, and keeps what it knows while the database is away', async () => {
  const { producers } = fixture.store
  await producers.putKey({ source: 'shop', key }, 'ada')
  await producers.putPolicy({ source: 'shop', policy: 'require' }, 'ada')
  let registry: ProducerRegistry | null = null
  const begun = watch(new AbortController().signal).then((ready) => {
    registry = ready
    return ready
  })
  await until(
    () => logged.includes('ingest waits for the keys of producers'),
    20_000,
    () => logged,
  )
  expect(registry).toBe(null)
  gate.open()
  const known = await begun
  expect(known.sources.get('shop')).toMatchObject({
    policy: 'require',
    keys: [{ key: { keyId: key.keyId } }],
  })

  gate.shut()
  await until(
    () => logged.includes('the keys of producers are not up to date'),
    20_000,
    () => logged,
  )
  expect(known.sources.get('shop')?.policy).toBe('require')
  await producers.putPolicy({ source: 'shop', policy: 'ignore' }, 'ada')
  gate.open()
  await until(
    () => !known.sources.has('shop'),
    20_000,
    () => 'the policy did not change',
  )
  await known.stop()
  // It asks no more.
  await producers.putPolicy({ source: 'shop', policy: 'verify' }, 'ada')
  await new Promise((resolve) => setTimeout(resolve, 5 * REFRESH_MS))
  expect(known.sources.has('shop')).toBe(false)
})

it('judges keys by the clock when an event is at hand, however old its answer is', async () => {
  const { producers } = fixture.store
  const source = 'rotating'
  const [old, next] = [testKey('shop.example', 1), testKey('shop.example', 2)]
  const [start, hour] = [Date.now(), 3_600_000]
  const at = (hours: number) => new Date(start + hours * hour)
  await producers.putKey({ source, key: old.verifierKey, validUntil: at(2) }, 'ada')
  await producers.putKey({ source, key: next.verifierKey, validFrom: at(1), validUntil: at(3) }, 'ada')
  await producers.putPolicy({ source, policy: 'require' }, 'ada')
  let now = start + 1_000
  const ask = () => producers.signatureSources()
  const signatures = await watchProducers(ask, log, new AbortController().signal, hour, () => now)
  const decode = createDecoder({ maxValueBytes: 100_000, fastPath: true, signatures })
  const values = [old, next].map((signer) => signedBy(signer, validEvent({ source })))
  const verdicts = () =>
    values.map((value) => {
      const decoded = decode(value, 0, value.length)
      return decoded.kind === 'event' ? 'event' : decoded.code
    })
  const expected: [number, string[]][] = [
    [1, ['event', 'SIGNATURE']],
    [hour - 1, ['event', 'SIGNATURE']],
    [hour, ['event', 'event']],
    [2 * hour - 1, ['event', 'event']],
    [2 * hour, ['SIGNATURE', 'event']],
    [3 * hour, ['SIGNATURE', 'SIGNATURE']],
  ]
  try {
    for (const [after, said] of expected) {
      now = Math.max(start + after, start + 1_000)
      expect([after, verdicts()]).toEqual([after, said])
    }
  } finally {
    await signatures.stop()
  }
})

it('is kept up to date beside a row that cannot be read, and says so once', async () => {
  const { producers } = fixture.store
  await producers.putKey({ source: 'shop', key }, 'ada')
  await producers.putPolicy({ source: 'shop', policy: 'require' }, 'ada')
  const ask = () => producers.signatureSources()
  const known = await watchProducers(ask, log, new AbortController().signal, REFRESH_MS)
  const insert = (name: string) =>
    withClient(fixture.database.appUrl, (client) =>
      client.query(
        `insert into producer_keys (source, name, key_id, public_key, valid_from, created_by)
         values ('damaged', $1, '00000000', $2, now(), 'eve')`,
        [name, key.publicKey],
      ),
    )
  const told = () =>
    logged.split('\n').filter((line) => line.includes('rows of producer_keys cannot be read'))
  const knows = (what: () => boolean) => until(what, 20_000, () => logged)
  try {
    await insert('a+b')
    await knows(() => known.sources.get('damaged')?.policy === 'require')
    await insert('c+d')
    await knows(() => known.sources.get('damaged')?.unreadable?.length === 2)
    // A revocation counts all the same.
    await producers.putKey({ source: 'shop', key, validUntil: new Date(Date.now() + 1) }, 'ada')
    await knows(() => known.sources.get('shop')?.keys[0]?.validUntil !== null)
    expect(told()).toHaveLength(1)
    expect(JSON.parse(told()[0] ?? '')).toMatchObject({ count: 1, sources: [{ source: 'damaged' }] })
    expect(logged).not.toContain('a+b')
    // A process that starts then is not kept waiting.
    const later = await watchProducers(ask, log, new AbortController().signal, REFRESH_MS)
    await later.stop()
    expect(later.sources.get('damaged')).toMatchObject({ policy: 'require', keys: [] })
    expect(told()).toHaveLength(2)
  } finally {
    await known.stop()
  }
})

it('gives up when it is told to stop while it waits', async () => {
  gate.shut()
  const stopping = new AbortController()
  const begun = watch(stopping.signal)
  stopping.abort()
  await expect(begun).rejects.toThrow(/abort/i)
})
