import { afterAll, beforeAll, expect, it } from 'vitest'
import { createProducerOperations } from '../../src/evidence/producerOperations.ts'
import { testKey } from '../domain/evidence/keys.ts'
import { useStore } from '../store/fixture.ts'
import { type Edge, postJson, startEdge } from './edge.ts'

const fixture = useStore('producers_api')
const key = testKey('shop.example', 1).verifierKey.text
let edge: Edge

beforeAll(async () => {
  const { producers, queries } = fixture.store
  edge = await startEdge({ operations: createProducerOperations(producers, Date.now), queries })
})
afterAll(() => edge.close())

const post = async (path: string, body: unknown) => {
  const answer = await postJson(`${edge.url}${path}`, body, { 'X-Requested-By': 'ada' })
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
}

it('adds keys, sets policies, and shows both', async () => {
  const added = await post('/producer-keys', { source: 'shop', key, validUntil: '2099-01-01T00:00:00Z' })
  expect(added).toEqual({
    status: 201,
    body: {
      source: 'shop',
      policy: 'ignore',
      keys: [{ key, validFrom: expect.stringMatching(/Z$/), validUntil: '2099-01-01T00:00:00.000Z' }],
    },
  })
  const decided = await post('/signature-policies', { source: 'shop', policy: 'require', reason: 'agreed' })
  expect(decided).toMatchObject({ status: 201, body: { policy: 'require' } })
  await post('/producer-keys', { source: 'äpfel', key })
  const get = async (query: string) =>
    (await (await fetch(`${edge.url}/producer-keys${query}`)).json()) as never
  const first = (await get('?limit=1')) as { items: object[]; nextCursor: string }
  expect(first.items).toEqual([decided.body])
  expect(await get(`?limit=1&cursor=${first.nextCursor}`)).toMatchObject({
    items: [{ source: 'äpfel', policy: 'ignore' }],
    nextCursor: null,
  })
  expect(await get('?source=nobody')).toEqual({ items: [], nextCursor: null })
})

/** Instants that have no four digits for their year, though they are written with four. */
const outside = [
  '0000-12-31T23:59:59Z',
  '0001-01-01T00:00:00+00:01',
  '9999-12-31T23:59:59-00:01',
  '9999-12-31T23:59:59-23:59',
]

it('takes the first and the last instant that have four digits for their year', async () => {
  const first = { validFrom: '0001-01-01T00:00:00.000Z', validUntil: '9999-12-31T23:59:59.999Z' }
  const { status, body } = await post('/producer-keys', { source: 'eternal', key, ...first })
  expect([status, body['keys']]).toEqual([201, [{ key, ...first }]])
})

it('refuses what is none, naming the field', async () => {
  const refused: [string, unknown, string, string | undefined][] = [
    ['/producer-keys', { source: 'shop' }, '400 BAD_REQUEST', 'key'],
    ['/producer-keys', { source: '', key }, '400 BAD_REQUEST', 'source'],
    ['/producer-keys', { source: 'a\0', key }, '400 BAD_REQUEST', 'source'],
    ['/producer-keys', { source: 'shop', key: 'x' }, '400 BAD_REQUEST', 'key'],
    ['/producer-keys', { source: 'shop', key: key.replace('+', '+0') }, '400 BAD_REQUEST', 'key'],
    ['/producer-keys', { source: 'shop', key: `${key.slice(0, -4)}AAAA` }, '400 BAD_REQUEST', 'key'],
    ['/producer-keys', { source: 'shop', key, validFrom: 'now' }, '400 BAD_REQUEST', 'validFrom'],
    ...['validFrom', 'validUntil'].flatMap((field) =>
      outside.map((at): [string, unknown, string, string] => [
        '/producer-keys',
        { source: 'shop', key, [field]: at },
        '400 BAD_REQUEST',
        field,
      ]),
    ),
    [
      '/producer-keys',
      { source: 'shop', key, validFrom: '2030-01-01T00:00:00Z', validUntil: '2029-01-01T00:00:00Z' },
      '400 BAD_REQUEST',
      'validUntil',
    ],
    ['/producer-keys', { source: 'shop', key, policy: 'require' }, '400 BAD_REQUEST', 'policy'],
    ['/signature-policies', { source: 'shop', policy: 'sometimes' }, '400 BAD_REQUEST', 'policy'],
    ['/signature-policies', { source: 'keyless', policy: 'require' }, '409 PRODUCER_KEY_MISSING', undefined],
  ]
  for (const [path, body, code, field] of refused) {
    const { status, body: problem } = await post(path, body)
    const [first] = (problem['errors'] ?? []) as { path: string }[]
    expect([body, `${status} ${problem['code']}`, first?.path]).toEqual([body, code, field])
  }
  for (const query of ['?cursor=%21', '?limit=0', '?x=1'])
    expect((await fetch(`${edge.url}/producer-keys${query}`)).status).toBe(400)
})
