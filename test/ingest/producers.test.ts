import { afterAll, beforeAll, expect, it } from 'vitest'
import { type ProducerRegistry, watchProducers } from '../../src/ingest/producers.ts'
import { createLogger } from '../../src/logger.ts'
import { createDatabase, type Database } from '../../src/store/database.ts'
import { createStore } from '../../src/store/store.ts'
import { testKey } from '../domain/evidence/keys.ts'
import { useStore } from '../store/fixture.ts'
import { Gate } from '../support/gate.ts'
import { until } from '../support/platform.ts'

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
  expect(known.sources.get('shop')).toMatchObject({ policy: 'require', keys: [{ keyId: key.keyId }] })

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

it('gives up when it is told to stop while it waits', async () => {
  gate.shut()
  const stopping = new AbortController()
  const begun = watch(stopping.signal)
  stopping.abort()
  await expect(begun).rejects.toThrow(/abort/i)
})
