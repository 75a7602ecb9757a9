import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { MAX_SOURCE_KEYS } from '../../src/domain/producerSignature.ts'
import { testKey } from '../domain/evidence/keys.ts'
import { useStore } from './fixture.ts'

const fixture = useStore('producers')

const keyOf = (number: number) => testKey('shop.example', number).verifierKey
const aSource = (): string => `source-${randomUUID()}`
const HOUR_MS = 3_600_000
const fromNow = (ms: number): Date => new Date(Date.now() + ms)

test('a source has the keys and the policy that were last given to it', async () => {
  const { producers } = fixture.store
  const source = aSource()
  const added = await producers.putKey({ source, key: keyOf(1) }, 'ada')
  expect(added).toMatchObject({ source, policy: 'ignore', keys: [{ validUntil: null }] })
  await producers.putKey({ source, key: keyOf(2) }, 'ada')
  await producers.putPolicy({ source, policy: 'require' }, 'ada')
  await producers.putPolicy({ source, policy: 'verify' }, 'ada')
  const [listed] = await producers.listSources({ source, limit: 10 })
  expect(listed?.policy).toBe('verify')
  expect(listed?.keys.map(({ key }) => key.text)).toEqual([keyOf(1).text, keyOf(2).text])
  expect((await producers.signatureSources()).get(source)).toMatchObject({
    policy: 'verify',
    keys: [{ keyId: keyOf(1).keyId }, { keyId: keyOf(2).keyId }],
  })
})

test('only keys that are valid now are handed to decoders, and only where a policy looks at signatures', async () => {
  const { producers } = fixture.store
  const source = aSource()
  const ids = async () => (await producers.signatureSources()).get(source)?.keys.map(({ keyId }) => keyId)
  await producers.putKey({ source, key: keyOf(1), validUntil: fromNow(HOUR_MS) }, 'ada')
  await producers.putKey({ source, key: keyOf(2), validFrom: fromNow(HOUR_MS) }, 'ada')
  await producers.putKey({ source, key: keyOf(3), validFrom: new Date(0), validUntil: new Date(1) }, 'ada')
  expect(await ids()).toBe(undefined)
  await producers.putPolicy({ source, policy: 'require' }, 'ada')
  expect(await ids()).toEqual([keyOf(1).keyId])
  // The end of a key moves; its beginning stays.
  const ended = await producers.putKey({ source, key: keyOf(1), validUntil: fromNow(50) }, 'ada')
  expect(ended.keys).toHaveLength(3)
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect(await ids()).toEqual([])
  await producers.putPolicy({ source, policy: 'ignore' }, 'ada')
  expect(await ids()).toBe(undefined)
})

test('a policy that needs a key is refused where none is valid', async () => {
  const { producers } = fixture.store
  const source = aSource()
  for (const policy of ['verify', 'require'] as const)
    await expect(producers.putPolicy({ source, policy }, 'ada')).rejects.toMatchObject({
      code: 'PRODUCER_KEY_MISSING',
    })
  await producers.putKey({ source, key: keyOf(1), validFrom: fromNow(HOUR_MS) }, 'ada')
  await expect(producers.putPolicy({ source, policy: 'require' }, 'ada')).rejects.toMatchObject({
    code: 'PRODUCER_KEY_MISSING',
  })
  expect((await producers.putPolicy({ source, policy: 'ignore' }, 'ada')).policy).toBe('ignore')
})

test('a key cannot end before it begins, and a source cannot have more keys than are looked at', async () => {
  const { producers } = fixture.store
  const source = aSource()
  await producers.putKey({ source, key: keyOf(1), validFrom: fromNow(HOUR_MS) }, 'ada')
  await expect(
    producers.putKey({ source, key: keyOf(1), validUntil: fromNow(0) }, 'ada'),
  ).rejects.toMatchObject({ code: 'BAD_REQUEST', fields: [{ path: 'validUntil' }] })
  for (let number = 2; number <= MAX_SOURCE_KEYS; number++)
    await producers.putKey({ source, key: keyOf(number) }, 'ada')
  const oneMore = { source, key: keyOf(MAX_SOURCE_KEYS + 1) }
  await expect(producers.putKey(oneMore, 'ada')).rejects.toMatchObject({ code: 'PRODUCERS_FULL' })
  await producers.putKey({ source, key: keyOf(2), validFrom: new Date(0), validUntil: new Date(1) }, 'ada')
  expect((await producers.putKey(oneMore, 'ada')).keys).toHaveLength(MAX_SOURCE_KEYS + 1)
})

test('sources are listed in order, a page after another', async () => {
  const { producers } = fixture.store
  const prefix = randomUUID()
  for (const name of ['a', 'b', 'c'])
    await producers.putKey({ source: `${prefix}-${name}`, key: keyOf(1) }, 'ada')
  const first = await producers.listSources({ after: prefix, limit: 2 })
  expect(first.map(({ source }) => source)).toEqual([`${prefix}-a`, `${prefix}-b`])
  const [next] = await producers.listSources({ after: `${prefix}-b`, limit: 1 })
  expect(next?.source).toBe(`${prefix}-c`)
})
