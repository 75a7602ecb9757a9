import { afterEach, describe, expect, test } from 'vitest'
import { ServiceError } from '../../src/errors.ts'
import { databaseDown, type Edge, type EdgeOptions, postJson, replayView, startEdge } from './edge.ts'

let edge: Edge | null = null
afterEach(() => edge?.close())

async function start(options?: EdgeOptions): Promise<Edge> {
  edge = await startEdge(options)
  return edge
}

const refuse = (code: ConstructorParameters<typeof ServiceError>[0], detail: string) => async () => {
  throw new ServiceError(code, detail)
}

describe('an action', () => {
  test('is checked, recorded, then done', async () => {
    const { url, calls, recorded } = await start()
    const response = await postJson(
      `${url}/replay`,
      { topic: 'events', fromOffset: 7 },
      {
        'X-Requested-By': 'ada',
        'X-Request-Id': 'req-1',
      },
    )
    expect(response.status).toBe(202)
    expect(response.headers.get('location')).toBe('/replay/r-1')
    expect(await response.json()).toEqual(replayView('r-1', 'planning'))
    expect(calls).toEqual(['checkReplay', 'record accepted', 'startReplay'])
    expect(recorded).toEqual([
      {
        actor: 'ada',
        action: 'replay.start',
        target: 'events',
        outcome: 'accepted',
        requestId: 'req-1',
        detail: { replayId: expect.stringMatching(/^[0-9a-f-]{36}$/), topic: 'events', fromOffset: '7' },
      },
    ])
  })

  test('to start a replay may name it, so that it can be asked for again', async () => {
    const ids: string[] = []
    const { url, recorded } = await start({
      operations: {
        startReplay: async (_request, _by, replayId) => {
          ids.push(replayId)
          return replayView(replayId)
        },
      },
    })
    const named = await postJson(`${url}/replay`, { topic: 'events' }, { 'X-Replay-Id': 'monday:1' })
    expect(named.headers.get('location')).toBe('/replay/monday%3A1')
    const odd = await postJson(`${url}/replay`, { topic: 'events' }, { 'X-Replay-Id': 'a/b' })
    expect(odd.status).toBe(400)
    expect(await odd.json()).toMatchObject({ errors: [{ path: 'X-Replay-Id' }] })
    expect(ids).toEqual(['monday:1'])
    expect(recorded[0]?.detail).toEqual({ replayId: 'monday:1', topic: 'events' })
  })

  test('that the check refuses is recorded with the code, and not done', async () => {
    const { url, calls, recorded } = await start({
      operations: { checkReplay: refuse('UNKNOWN_TOPIC', 'There is no log of topic events') },
    })
    const response = await postJson(`${url}/replay`, { topic: 'events' })
    expect(response.status).toBe(404)
    expect(await response.json()).toMatchObject({
      code: 'UNKNOWN_TOPIC',
      detail: 'There is no log of topic events',
    })
    expect(calls).toEqual(['record UNKNOWN_TOPIC'])
    expect(recorded[0]).toMatchObject({ actor: 'anonymous', action: 'replay.start', target: 'events' })
  })

  test('that cannot be recorded is not done', async () => {
    const { url, calls } = await start({ queries: { recordAction: databaseDown } })
    const response = await postJson(`${url}/replay`, { topic: 'events' })
    expect(response.status).toBe(503)
    expect(await response.json()).toMatchObject({ code: 'DATABASE_UNAVAILABLE' })
    expect(calls).toEqual(['checkReplay'])
  })

  test('that fails after it was accepted gets a second record', async () => {
    const { url, calls } = await start({
      operations: { startReplay: refuse('TEMPORAL_UNAVAILABLE', 'Temporal does not answer') },
    })
    const response = await postJson(`${url}/replay`, { topic: 'events' })
    expect(response.status).toBe(503)
    expect(response.headers.get('retry-after')).toBe('5')
    expect(calls).toEqual(['checkReplay', 'record accepted', 'record TEMPORAL_UNAVAILABLE'])
  })

  test.each([
    ['cancel', 202, 'cancelled'],
    ['pause', 200, 'paused'],
    ['resume', 200, 'running'],
  ])('%s takes an empty body and answers with the replay', async (verb, status, replayStatus) => {
    const { url, recorded } = await start()
    const response = await fetch(`${url}/replay/r-9/${verb}`, { method: 'POST' })
    expect(response.status).toBe(status)
    expect(await response.json()).toMatchObject({ replayId: 'r-9', status: replayStatus })
    expect(recorded).toMatchObject([{ action: `replay.${verb}`, target: 'r-9', outcome: 'accepted' }])
  })

  test('on a replay that has ended is refused with REPLAY_ENDED', async () => {
    const { url, recorded } = await start({
      operations: { getReplay: async (id) => replayView(id, 'completed') },
    })
    const response = await postJson(`${url}/replay/r-9/pause`, {})
    expect(response.status).toBe(409)
    expect(recorded).toMatchObject([{ action: 'replay.pause', outcome: 'REPLAY_ENDED' }])
  })

  test('to recover a cursor is checked, recorded with what was accepted and why, then done', async () => {
    const { url, calls, recorded } = await start()
    const body = { acceptDoubles: true, reason: 'a cleaner took the group' }
    const response = await postJson(`${url}/replay/r-9/recover-cursor`, body, { 'X-Requested-By': 'ada' })
    expect(response.status).toBe(202)
    expect(await response.json()).toMatchObject({ replayId: 'r-9' })
    expect(calls).toEqual(['checkRecovery', 'record accepted', 'recoverCursor'])
    expect(recorded).toMatchObject([
      { actor: 'ada', action: 'replay.recover-cursor', target: 'r-9', outcome: 'accepted', detail: body },
    ])
    expect((await fetch(`${url}/replay/r-9/recover-cursor`, { method: 'POST' })).status).toBe(202)
    for (const bad of [{ acceptDoubles: 1 }, { reason: '' }, { force: true }])
      expect((await postJson(`${url}/replay/r-9/recover-cursor`, bad)).status).toBe(400)
  })

  test('to recover a cursor that is not lost is refused and recorded', async () => {
    const { url, calls } = await start({
      operations: { checkRecovery: refuse('CURSOR_NOT_LOST', 'The replay r-9 is running') },
    })
    const response = await postJson(`${url}/replay/r-9/recover-cursor`, {})
    expect(response.status).toBe(409)
    expect(calls).toEqual(['record CURSOR_NOT_LOST'])
  })

  test('to open a new incarnation is checked, recorded with its reason, then done', async () => {
    const opened = {
      opened: [],
      left: [{ partition: 1, code: 'LOG_NOT_CLOSED', detail: 'it goes on' }],
    } as const
    const { url, calls, recorded } = await start({
      operations: {
        openIncarnation: async () => {
          calls.push('openIncarnation')
          return opened
        },
      },
    })
    const body = { topic: 'events', reason: ' made again by mistake ' }
    const response = await postJson(`${url}/logs/open-incarnation`, body, { 'X-Requested-By': 'ada' })
    expect(response.status).toBe(201)
    expect(await response.json()).toEqual(opened)
    expect(calls).toEqual(['checkIncarnation', 'record accepted', 'openIncarnation'])
    expect(recorded).toMatchObject([
      {
        actor: 'ada',
        action: 'log.open-incarnation',
        target: 'events',
        outcome: 'accepted',
        detail: { topic: 'events', reason: 'made again by mistake' },
      },
    ])
  })

  test('names who asked without invisible characters, in at most 256 characters', async () => {
    const { url, recorded } = await start()
    const utf8 = Buffer.from('Zoë\u202e\u0085x', 'utf8').toString('latin1')
    await postJson(`${url}/replay`, { topic: 'events' }, { 'X-Requested-By': utf8 })
    await postJson(`${url}/replay`, { topic: 'events' }, { 'X-Requested-By': 'y'.repeat(2_000) })
    await postJson(`${url}/replay`, { topic: 'events' }, { 'X-Requested-By': '  ' })
    expect(recorded.map(({ actor }) => actor)).toEqual(['Zoëx', 'y'.repeat(256), 'anonymous'])
  })

  test('that nobody knows is recorded too', async () => {
    const { url, recorded } = await start()
    await fetch(`${url}/delete-everything?token=x`, { method: 'POST' })
    expect(recorded).toMatchObject([
      { action: 'unknown', target: '/delete-everything', outcome: 'NOT_FOUND' },
    ])
  })

  test('keeps odd field names out of the record', async () => {
    const { url, recorded } = await start()
    await postJson(`${url}/replay`, '{"topic":"events","a\\u0000\\ud800":1}')
    expect(JSON.stringify(recorded)).not.toMatch(/\\u0000|\\ud800/)
    expect(recorded).toHaveLength(1)
  })
})

describe('an unexpected error', () => {
  test('answers 500 without its message, which is not in the log either', async () => {
    const { url, logged } = await start()
    const response = await fetch(`${url}/events`)
    const text = await response.text()
    expect(response.status).toBe(500)
    expect(text).toContain('"code":"INTERNAL"')
    expect(text).not.toMatch(/secret internals|node_modules|at /)
    expect(logged()).toContain('a request failed')
    expect(logged()).not.toContain('secret internals')
  })
})
