/** Chain of custody: exact about what was replayed, about causes and effects, checkpoints and signatures; and quick. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ActivityDependencies } from '../../activities/dependencies.ts'
import { fenceReplay } from '../../activities/fenceReplay.ts'
import { finishReplay } from '../../activities/finishReplay.ts'
import { planReplay } from '../../activities/planReplay.ts'
import { replaySlice } from '../../activities/replaySlice.ts'
import { storeCheckpoint } from '../../activities/storeCheckpoint.ts'
import type { CustodyView } from '../../src/domain/custody.ts'
import { preAuthEncoding } from '../../src/domain/dsse.ts'
import { canonicalEvent, policyOf, type SourceEvent } from '../../src/domain/eventSchema.ts'
import { readHeaders } from '../../src/domain/headers.ts'
import { offset as toOffset } from '../../src/domain/model.ts'
import { EVENT_PAYLOAD_TYPE } from '../../src/domain/producerSignature.ts'
import { eventCustody } from '../../src/evidence/custody.ts'
import type { StoredEvent } from '../../src/ports.ts'
import { scopeOf, usePlatform } from '../activities/fixture.ts'
import { runEvidence } from '../cli/evidenceProcess.ts'
import { testKey } from '../domain/evidence/keys.ts'
import { appendTo, type OpenLog, openLog } from '../store/fixture.ts'
import { withClient } from '../support/database.ts'
import { validEvent } from '../support/source.ts'
import { trueEntry } from '../verification/trueLog.ts'
import { type Edge, startEdge } from './edge.ts'

const { broker, platform, fill } = usePlatform('custody')
const key = testKey('example.com/ingest', 1)
let edge: Edge

beforeAll(async () => {
  const { queries, checkpoints } = platform.store
  edge = await startEdge({
    operations: { eventCustody: (event) => eventCustody(platform.store, event) },
    queries: { ...queries, ...checkpoints },
  })
})
afterAll(() => edge.close())

async function custody(id: string, query = ''): Promise<CustodyView> {
  const response = await fetch(`${edge.url}/events/${id}${query}`)
  const body = (await response.json()) as { readonly custody: CustodyView }
  expect([response.status, body]).toEqual([200, expect.objectContaining({ id, custody: expect.anything() })])
  return body.custody
}

/** Appends values as producers send them; what is no event becomes a dead letter. */
async function append(open: OpenLog, values: readonly (string | object)[]): Promise<void> {
  const from = open.position.nextOffset
  const entries = values.map((value, index) =>
    trueEntry({
      offset: from + BigInt(index),
      timestamp: 1_760_000_000_000n,
      value: Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
    }),
  )
  const outcome = await appendTo(platform.store, open, entries, from + BigInt(values.length))
  expect(outcome.kind).toBe('appended')
}

interface Caused extends Record<string, unknown> {
  readonly id: string
  readonly metadata: { readonly causationId?: string }
}

const caused = (causationId: string | null, more: object = {}) => {
  const metadata = { version: '1', ...(causationId !== null && { causationId }) }
  return { ...validEvent({ metadata }), ...more } as Caused
}

describe('replays that produced an event', () => {
  it('are those that committed it to their target, the cancelled half of one among them', async () => {
    const EVENTS = 1_500
    const topic = await broker.makeTopic()
    const typeOf = (at: bigint) => (at % 3n === 0n ? 'rare' : 'common')
    await fill({ topic, count: EVENTS, typeOf })
    const start = async (targetTopic: string, filters?: { readonly eventTypes: readonly string[] }) => {
      const replayId = randomUUID()
      const request = { topic, targetTopic, ...(filters !== undefined && { filters }) }
      const { planId, logs } = await planReplay(platform.deps, scopeOf(), {
        replayId,
        request,
        requestedBy: 'ada',
      })
      return { replayId, request, planId, logId: logs[0]?.logId ?? 0 }
    }
    const whole = await start(`${topic}-whole`)
    await replaySlice(platform.deps, scopeOf(), whole)
    await fenceReplay(platform.deps, scopeOf(), whole)
    await finishReplay(platform.deps, { ...whole, status: 'completed' })

    const half = await start(`${topic}-half`, { eventTypes: ['rare'] })
    const stop = new AbortController()
    const log: ActivityDependencies['log'] = {
      ...platform.deps.log,
      readPage: (request) => {
        if (request.from >= 500n) stop.abort()
        return platform.deps.log.readPage(request)
      },
    }
    const settings = { ...platform.deps.settings, pageEvents: 70 }
    const reached = await replaySlice({ ...platform.deps, log, settings }, scopeOf(stop.signal), half)
    expect(reached.done).toBe(false)
    await fenceReplay(platform.deps, scopeOf(), half)
    const error = { code: 'CANCELLED', detail: 'the replay was cancelled' } as const
    await finishReplay(platform.deps, { ...half, status: 'cancelled', error })
    const unbegun = await start(`${topic}-unbegun`)

    const produced = new Map<string, Set<string>>()
    for (const { request, replayId } of [whole, half, unbegun]) {
      const records = await broker.readCommitted(request.targetTopic)
      const offsets = records.map(({ headers }) => {
        const header = readHeaders(headers ?? Buffer.of(0)).find(
          (each) => each.key === 'replay-source-offset',
        )
        return String(header?.value)
      })
      produced.set(replayId, new Set(offsets))
    }
    const [all, some, none] = [...produced.values()].map((offsets) => offsets.size)
    expect([all, none]).toEqual([EVENTS, 0])
    expect(some).toBeGreaterThan(0)
    expect(some).toBeLessThan(EVENTS / 3 - 100)

    const { items, nextCursor } = await platform.store.queries.findEvents({ topic, limit: 1_000 })
    const rest = await platform.store.queries.findEvents({ topic, limit: 1_000, cursor: String(nextCursor) })
    const events = [...items, ...rest.items]
    expect(events).toHaveLength(EVENTS)
    for (const event of events) {
      const listed = (await platform.store.custody.replaysOf(event)).items.map(({ replayId }) => replayId)
      const there = [half, whole]
        .map(({ replayId }) => replayId)
        .filter((id) => produced.get(id)?.has(String(event.offset)) === true)
      expect([event.offset, listed]).toEqual([event.offset, there])
    }
    const [first] = items
    const shown = await custody(first?.id ?? '', `?topic=${topic}`)
    expect(shown.replays).toEqual({
      more: false,
      items: [
        {
          replayId: half.replayId,
          status: 'cancelled',
          targetTopic: `${topic}-half`,
          targetPartition: 0,
          requestedBy: 'ada',
          plannedAt: expect.any(String),
          producedBy: expect.any(String),
        },
        expect.objectContaining({ replayId: whole.replayId, status: 'completed' }),
      ],
    })
    const [replay] = shown.replays.items
    expect(Date.parse(replay?.plannedAt ?? '')).toBeLessThanOrEqual(Date.parse(replay?.producedBy ?? ''))
  })
})

describe('causes and effects', () => {
  it('lead from a dead letter that was sent again to what was made of it, and back', async () => {
    const open = await openLog(platform.store)
    const refused = caused(null, { provenance: { hash: '0'.repeat(64) } })
    const step = (operation: string) => ({ operation, timestamp: 1_760_000_000_000, userId: 'ada' })
    const redriven = caused(refused.id, { provenance: { transformations: [step('redrive')] } })
    const masked = caused(redriven.id.toUpperCase(), {
      provenance: { transformations: [step('redrive'), step('mask')] },
    })
    const elsewhere = await openLog(platform.store)
    await append(open, [refused, redriven])
    await append(elsewhere, [masked])

    const ofRedriven = await custody(redriven.id)
    expect(ofRedriven.causes).toEqual({ items: [{ causationId: refused.id, events: [] }], more: false })
    expect(ofRedriven.effects.items).toMatchObject([
      { id: masked.id, topic: elsewhere.log.identity.topic, offset: '0' },
    ])
    expect(ofRedriven.transformations).toEqual([
      step('redrive'),
      { operation: 'ingest', timestamp: expect.any(Number) },
    ])
    const ofMasked = await custody(masked.id)
    expect(ofMasked.causes.items).toMatchObject([
      { causationId: masked.metadata.causationId, events: [{ id: redriven.id, offset: '1' }] },
      { causationId: refused.id, events: [] },
    ])
    expect(ofMasked.effects).toEqual({ items: [], more: false })
    expect(ofMasked.source).toMatchObject({ ...elsewhere.log.identity, offset: '0', leafIndex: '0' })
    const { items } = await platform.store.queries.findDeadLetters({
      topic: open.log.identity.topic,
      limit: 10,
    })
    expect(items).toMatchObject([{ code: 'HASH_MISMATCH', offset: 0n }])
  })

  it('end where nothing more is named, where a circle closes, and after ten steps', async () => {
    const open = await openLog(platform.store)
    const [one, two] = [caused(null), caused(null)]
    const circle = [
      { ...one, metadata: { version: '1', causationId: two.id } },
      { ...two, metadata: { version: '1', causationId: one.id } },
    ]
    const job = caused('job 7')
    const chain = [caused(null)]
    for (let i = 0; i < 12; i++) chain.push(caused(chain[i]?.id ?? ''))
    await append(open, [...circle, job, ...chain])
    expect((await custody(one.id)).causes).toMatchObject({ items: [{ causationId: two.id }], more: false })
    expect((await custody(one.id)).effects.items).toMatchObject([{ id: two.id }])
    expect((await custody(job.id)).causes).toEqual({
      items: [{ causationId: 'job 7', events: [] }],
      more: false,
    })
    const ids = chain.map(({ id }) => id)
    const last = (await custody(ids[12] ?? '')).causes
    expect([last.items.map(({ causationId }) => causationId), last.more]).toEqual([
      ids.slice(2, 12).reverse(),
      true,
    ])
    const whole = (await custody(ids[10] ?? '')).causes
    expect([whole.items.length, whole.more]).toEqual([10, false])
  })

  it('effects are bounded, and found however the value was written', async () => {
    const open = await openLog(platform.store)
    const origin = caused(null)
    const other = randomUUID()
    const written = (metadata: string, data = '{}') =>
      `{"id":"${randomUUID()}","type":"t","source":"s","timestamp":1,"data":${data},"metadata":${metadata}}`
    await append(open, [
      origin,
      // The name itself, with escapes; beside U+0000; and a lone surrogate that a later member hides.
      written(`{"version":"1","causation\\u0049d":"${origin.id}"}`),
      written(`{"version":"1","causationId":"${origin.id}"}`, '{"nul":"\\u0000"}'),
      written(`{"version":"1","causationId":"${other}","causationId":"${origin.id}"}`),
      // None of it: another place, hidden by a later member.
      written('{"version":"1"}', `{"causationId":"${origin.id}"}`),
      written(`{"version":"1","causationId":"${origin.id}","causationId":"${other}"}`),
      written(`{"version":"1","correlationId":"${origin.id}"}`, '{"a":"\\ud83d\\ude00"}'),
      written(`{"version":"1"}`, '{"a":"\\ud800","a":"x"}'),
    ])
    const effects = async () => (await custody(origin.id)).effects
    expect((await effects()).items.map(({ offset }) => offset)).toEqual(['1', '2', '3'])
    expect(open.position.size).toBe(8n)
    const { items } = await platform.store.queries.findDeadLetters({
      topic: open.log.identity.topic,
      limit: 10,
    })
    expect(items).toEqual([])
    await append(
      open,
      Array.from({ length: 60 }, () => caused(origin.id)),
    )
    const many = await effects()
    expect([many.items.length, many.more]).toEqual([50, true])
  })

  it('the index holds the same, whatever types a session of the application makes for itself', async () => {
    const open = await openLog(platform.store)
    const origin = caused(null)
    await append(open, [origin])
    await withClient(platform.database.appUrl, async (client) => {
      for (const type of ['json', 'uuid', 'text', 'bytea', 'int4'])
        await client.query(`create domain pg_temp.${type} as pg_catalog.bool check (false)`)
      const { rows } = await client.query(
        `select public.causation_of(v)::pg_catalog.text as one, public.causation_candidate(v)::pg_catalog.text as other
           from (select pg_catalog.convert_to($1, 'UTF8') as v union all select pg_catalog.convert_to($2, 'UTF8')) _`,
        [`{"metadata":{"causationId":"${origin.id}"}}`, `{"metadata":{"causation\\u0049d":"${origin.id}"}}`],
      )
      expect(rows).toEqual([
        { one: origin.id, other: origin.id },
        { one: origin.id, other: origin.id },
      ])
    })
  })

  it('are looked for by an index of each partition', async () => {
    await withClient(platform.database.adminUrl, async (client) => {
      // Of a few rows that were counted by then the planner would read all.
      await client.query('set enable_seqscan = off')
      const { rows } = await client.query<{ 'QUERY PLAN': string }>(
        `explain select * from events where causation_candidate(value) = $1
            and (position('\\x636175736174696f6e4964'::bytea in value) > 0 or position('\\x5c75'::bytea in value) > 0) limit 51`.replace(
          '$1',
          `'${randomUUID()}'`,
        ),
      )
      const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
      expect(plan).not.toMatch(/Seq Scan/)
      expect(plan).toMatch(/Index Scan (using|on) events_\d+_causation/)
    })
  })
})

describe('checkpoints that cover an event', () => {
  it('are the first and the newest that do', async () => {
    const topic = await broker.makeTopic()
    await fill({ topic, count: 100 })
    const make = async (offset?: string) => {
      const deps = { ...platform.deps, signing: { keys: [key], overlapMs: 0 } }
      const request = { topic, ...(offset !== undefined && { partition: 0, offset }) }
      return (await storeCheckpoint(deps, { checkpointId: randomUUID(), request, requestedBy: 'bob' })).id
    }
    const event = async (offset: bigint) =>
      (await platform.store.queries.findEvents({ topic, fromOffset: toOffset(offset), limit: 1 }))
        .items[0] as StoredEvent
    const of = async (offset: bigint) => {
      const { first, newest } = (await eventCustody(platform.store, await event(offset))).checkpoints
      return [first?.id, newest?.id]
    }
    expect(await of(10n)).toEqual([undefined, undefined])
    const early = await make('50')
    const first = await make()
    const same = await make()
    expect(await of(10n)).toEqual([early, same])
    expect(await of(49n)).toEqual([early, same])
    expect(await of(50n)).toEqual([first, same])
    await fill({ topic, count: 10 })
    const late = await make('60')
    expect(await of(70n)).toEqual([first, same])
    expect(await of(55n)).toEqual([late, late])
    const shown = (await eventCustody(platform.store, await event(70n))).checkpoints.first
    expect(shown).toMatchObject({
      size: '100',
      createdBy: 'bob',
      rootHash: expect.stringMatching(/^[0-9a-f]{64}$/),
      signedBy: [`example.com/ingest+${key.verifierKey.keyId}`],
    })
  })
})

describe("the producer's signature", () => {
  it('is checked again with the keys and the policy of its time', async () => {
    const open = await openLog(platform.store)
    const source = `shop-${randomUUID().slice(0, 8)}`
    const producer = testKey('shop.example', 2)
    const signed = (event: object, content: object = event) => {
      const body = canonicalEvent(content as SourceEvent, policyOf(content as SourceEvent))
      const sig = producer.sign(preAuthEncoding(EVENT_PAYLOAD_TYPE, Buffer.from(body))).toString('base64')
      const signature = JSON.stringify({ payloadType: EVENT_PAYLOAD_TYPE, signatures: [{ sig }] })
      return { ...event, provenance: { signature } }
    }
    const events = [caused(null, { source }), caused(null, { source }), caused(null, { source })]
    const [unsigned, good, bad] = events
    await append(open, [
      unsigned as object,
      signed(good as object),
      signed(bad as object, { ...bad, type: 'other' }),
    ])
    const { producers } = platform.store
    const key = producer.verifierKey
    await producers.putKey({ source, key, validFrom: new Date(Date.now() - 60_000) }, 'ada')
    await producers.putPolicy({ source, policy: 'require' }, 'ada')
    const of = async (event: { readonly id: string } | undefined) =>
      (await custody(event?.id ?? '')).signature
    // The policy came later: it was not asked for then.
    expect(await of(unsigned)).toEqual({ state: 'none', policy: 'ignore' })
    expect(await of(good)).toEqual({
      state: 'good',
      policy: 'ignore',
      keyId: `shop.example+${producer.verifierKey.keyId}`,
    })
    expect(await of(bad)).toMatchObject({ state: 'bad', policy: 'ignore', detail: expect.any(String) })
    const later = caused(null, { source })
    await append(open, [signed(later)])
    expect(await of(later)).toMatchObject({ state: 'good', policy: 'require' })
  })

  it('is bad outside the time of its key, and the key that it missed by less than an hour is named', async () => {
    const open = await openLog(platform.store)
    const source = `shop-${randomUUID().slice(0, 8)}`
    const producer = testKey('shop.example', 3)
    const event = caused(null, { source })
    const content = event as unknown as SourceEvent
    const body = Buffer.from(canonicalEvent(content, policyOf(content)))
    const sig = producer.sign(preAuthEncoding(EVENT_PAYLOAD_TYPE, body)).toString('base64')
    const signature = JSON.stringify({ payloadType: EVENT_PAYLOAD_TYPE, signatures: [{ sig }] })
    await append(open, [{ ...event, provenance: { signature } }])
    const { ingestedAt } = (await platform.store.queries.findEventsById(event.id, {}))[0] as StoredEvent
    const at = (minutes: number) => new Date(ingestedAt.getTime() + minutes * 60_000)
    const validIn = async (from: number, until: number) => {
      const validity = { validFrom: at(from), validUntil: at(until) }
      await platform.store.producers.putKey({ source, key: producer.verifierKey, ...validity }, 'ada')
      return (await custody(event.id)).signature
    }
    const keyId = `shop.example+${producer.verifierKey.keyId}`
    const bad = (detail: string) => ({
      state: 'bad',
      policy: 'ignore',
      detail: expect.stringContaining(detail),
    })
    expect(await validIn(-180, 1)).toEqual({ state: 'good', policy: 'ignore', keyId })
    expect(await validIn(-180, 0)).toEqual(bad(`${keyId}, which ended within the hour before`))
    expect(await validIn(1, 180)).toEqual(bad(`${keyId}, which began within the hour after`))
    expect(await validIn(-180, -61)).toEqual(bad('none of it is a good signature'))
  })
})

it('pnpm evidence custody shows it, as text and as JSON', async () => {
  const open = await openLog(platform.store)
  const origin = caused(null, { type: 'odd\u001b[31m' })
  const effect = caused(origin.id)
  await append(open, [origin, effect])
  const run = (...args: readonly string[]) => runEvidence(['custody', ...args], { API_URL: edge.url })
  const text = await run('--event-id', origin.id)
  expect(text.code).toBe(0)
  expect(text.stdout).toContain(`taken from ${open.log.identity.topic}/0 at offset 0, incarnation 1`)
  expect(text.stdout).toContain(`caused ${effect.id}`)
  expect(text.stdout).toContain('no checkpoint covers it yet')
  expect(text.stdout).not.toContain('\u001b')
  const json = await run('--event-id', effect.id, '--json')
  expect(JSON.parse(json.stdout)).toMatchObject({
    id: effect.id,
    custody: { causes: { items: [{ causationId: origin.id, events: [{ id: origin.id }] }] } },
  })
  expect(await run('--event-id', randomUUID())).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('EVENT_NOT_FOUND'),
  })
})
