import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import type { VerifierKey } from '../../src/domain/evidence/noteKeys.ts'
import { MAX_SOURCE_KEYS } from '../../src/domain/producerSignature.ts'
import { testKey } from '../domain/evidence/keys.ts'
import { withClient } from '../support/database.ts'
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
    keys: [{ key: { keyId: keyOf(1).keyId } }, { key: { keyId: keyOf(2).keyId } }],
  })
})

test('keys are handed to decoders with their periods, and only where a policy looks at signatures', async () => {
  const { producers } = fixture.store
  const source = aSource()
  const keys = async () => (await producers.signatureSources()).get(source)?.keys
  const [begins, ends] = [fromNow(HOUR_MS), fromNow(HOUR_MS)]
  await producers.putKey({ source, key: keyOf(1), validUntil: ends }, 'ada')
  await producers.putKey({ source, key: keyOf(2), validFrom: begins }, 'ada')
  await producers.putKey({ source, key: keyOf(3), validFrom: new Date(0), validUntil: new Date(1) }, 'ada')
  expect(await keys()).toBe(undefined)
  await producers.putPolicy({ source, policy: 'require' }, 'ada')
  expect(await keys()).toMatchObject([
    { key: { keyId: keyOf(1).keyId }, validUntil: ends },
    { key: { keyId: keyOf(2).keyId }, validFrom: begins, validUntil: null },
  ])
  // The end of a key moves; its beginning stays.
  const soon = fromNow(50)
  const ended = await producers.putKey({ source, key: keyOf(1), validUntil: soon }, 'ada')
  expect(ended.keys).toHaveLength(3)
  await new Promise((resolve) => setTimeout(resolve, 100))
  // The clock of whoever decodes may lag behind: one that has just ended is handed out with its end.
  expect((await keys())?.[0]).toMatchObject({ key: { keyId: keyOf(1).keyId }, validUntil: soon })
  await producers.putPolicy({ source, policy: 'ignore' }, 'ada')
  expect(await keys()).toBe(undefined)
})

/** Rows as the application's role may write them, past all checks of this program. */
const insert = async (
  source: string,
  rows: readonly (readonly [string, string, Buffer, string, string | null])[],
) =>
  withClient(fixture.database.appUrl, async (client) => {
    for (const row of rows)
      await client.query(
        `insert into producer_keys (source, name, key_id, public_key, valid_from, valid_until, created_by)
         values ($1, $2, $3, $4, $5, $6, 'eve')`,
        [source, ...row],
      )
  })

test('a valid key is found behind any number of ended ones, and so is what it was before', async () => {
  const { producers } = fixture.store
  const source = aSource()
  const good = testKey('zzz.example', 1).verifierKey
  const first = await producers.putKey({ source, key: good }, 'ada')
  const { publicKey } = keyOf(1)
  await withClient(fixture.database.appUrl, (client) =>
    client.query(
      `insert into producer_keys (source, name, key_id, public_key, valid_from, valid_until, created_by)
       select $1, 'aaa-' || n, substr(encode(sha256(convert_to('aaa-' || n || E'\n', 'UTF8') || '\\x01'::bytea || $2::bytea), 'hex'), 1, 8),
              $2, '2020-01-01', '2020-01-02', 'ops' from generate_series(1, 1100) n`,
      [source, publicKey],
    ),
  )
  await producers.putPolicy({ source, policy: 'require' }, 'ada')
  const handedOut = (await producers.signatureSources()).get(source)
  expect(handedOut?.keys.map(({ key }) => key.text)).toEqual([good.text])
  expect(handedOut?.unreadable).toBe(undefined)
  const [listed] = await producers.listSources({ source, limit: 1 })
  expect(listed?.keys).toHaveLength(1_000)
  expect(listed?.keys.at(-1)?.key.text).toBe(good.text)
  expect((await producers.keysAt(source, new Date())).map(({ text }) => text)).toEqual([good.text])
  expect(await producers.keysAt(source, new Date('2020-01-01T12:00:00Z'))).toHaveLength(1_000)
  // Ended like the others and older than a thousand of them, it still begins when it began.
  const ended = await producers.putKey({ source, key: good, validUntil: fromNow(20) }, 'ada')
  expect(ended.keys.at(-1)?.validFrom).toEqual(first.keys[0]?.validFrom)
})

test('what is too much is refused, and a key can always be ended', async () => {
  const { producers } = fixture.store
  const source = aSource()
  const ids = Array.from({ length: MAX_SOURCE_KEYS + 1 }, (_, index) => keyOf(index + 1))
  await insert(
    source,
    ids.map(({ name, keyId, publicKey }) => [name, keyId, publicKey, '2020-01-01', null] as const),
  )
  const [one, other] = ids as [VerifierKey, VerifierKey]
  await expect(producers.putKey({ source, key: one }, 'ada')).rejects.toMatchObject({
    code: 'PRODUCERS_FULL',
  })
  await producers.putKey({ source, key: one, validUntil: new Date('2020-01-02') }, 'ada')
  expect((await producers.putKey({ source, key: other }, 'ada')).keys).toHaveLength(MAX_SOURCE_KEYS + 1)
})

test('a key that cannot be read makes its source sign with the others, and keeps nothing else from being read', async () => {
  const { producers } = fixture.store
  const [damaged, whole, unheard] = [aSource(), aSource(), aSource()]
  for (const source of [damaged, whole]) {
    await producers.putKey({ source, key: keyOf(1) }, 'ada')
    await producers.putPolicy({ source, policy: 'verify' }, 'ada')
  }
  const { name, keyId, publicKey } = keyOf(2)
  const bad = [
    ['a+b', '00000000', publicKey, '2020-01-01', null],
    ['', '00000000', publicKey, '2020-01-01', null],
    [name, 'ffffffff', publicKey, '2020-01-01', null],
    [name, keyId, publicKey, '-infinity', null],
    ['b.example', '00000000', publicKey, '2020-01-01', 'infinity'],
    ['c.example', '00000000', publicKey, '12020-01-01', null],
  ] as const
  await insert(damaged, bad)
  await insert(unheard, bad.slice(0, 1))
  const sources = await producers.signatureSources()
  expect(sources.get(damaged)).toMatchObject({ policy: 'require', keys: [{ key: { text: keyOf(1).text } }] })
  expect(sources.get(damaged)?.unreadable).toHaveLength(bad.length)
  expect(sources.get(unheard)).toMatchObject({ policy: 'require', keys: [] })
  expect(sources.get(whole)).toEqual({ policy: 'verify', keys: [expect.anything()] })
  const [listed] = await producers.listSources({ source: damaged, limit: 1 })
  expect(listed).toMatchObject({ policy: 'require', keys: [{ key: { text: keyOf(1).text } }] })
  expect(await producers.keysAt(damaged, new Date())).toHaveLength(1)
  // The way out: the same name and key id again, with an end that is over.
  await insert(unheard, [['a+b', '00000000', publicKey, '2020-01-01', '2020-01-02']])
  expect((await producers.signatureSources()).has(unheard)).toBe(false)
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
