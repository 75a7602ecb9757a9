import { request } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Problem } from '../../src/api/problem.ts'
import { type Edge, postJson, sendRaw, startEdge } from './edge.ts'

let edge: Edge
beforeAll(async () => {
  edge = await startEdge()
})
afterAll(() => edge.close())

const post = (path: string, body: unknown, headers?: Record<string, string>) =>
  postJson(`${edge.url}${path}`, body, headers)

describe('a body', () => {
  test.each([
    ['an unknown field', { topic: 'events', surprise: 1 }, 'surprise'],
    ['an unknown field deep inside', { topic: 'events', filters: { eventTyps: [] } }, 'filters.eventTyps'],
    ['__proto__', '{"topic":"events","__proto__":{"x":1}}', '__proto__'],
    ['a missing topic', {}, 'topic'],
    ['a topic of another type', { topic: 7 }, 'topic'],
    ['a topic that Kafka has not', { topic: 'a b' }, 'topic'],
    ['a negative partition', { topic: 'events', partition: -1 }, 'partition'],
    ['a partition as text', { topic: 'events', partition: '0' }, 'partition'],
    ['a negative offset', { topic: 'events', fromOffset: '-1' }, 'fromOffset'],
    ['an offset beyond 2^63', { topic: 'events', fromOffset: '9223372036854775808' }, 'fromOffset'],
    ['from = to', { topic: 'events', fromOffset: '5', toOffset: '5' }, 'toOffset'],
    ['from > to', { topic: 'events', fromOffset: '6', toOffset: '5' }, 'toOffset'],
    ['source = target', { topic: 'events', targetTopic: 'events' }, 'targetTopic'],
    ['a checkpoint id that is no UUID', { topic: 'events', checkpointId: 'null' }, 'checkpointId'],
    [
      'a checkpoint and a range',
      { topic: 'events', checkpointId: '0d3b3ab6-5c26-4b5c-a5fb-1b7a1a1b1c1d', fromOffset: '1' },
      'fromOffset',
    ],
    ['NUL in a filter', { topic: 'events', filters: { sources: ['a\u0000'] } }, 'filters.sources.0'],
  ])('with %s is refused by the name of the field, and nothing is started', async (_what, body, field) => {
    const before = edge.calls.length
    const response = await post('/replay', body)
    expect(response.status).toBe(400)
    expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/)
    const problem = (await response.json()) as Problem
    expect(problem).toMatchObject({ code: 'BAD_REQUEST', status: 400, instance: '/replay' })
    expect(problem.errors?.map(({ path }) => path)).toContain(field)
    expect(edge.calls.slice(before)).toEqual(['record BAD_REQUEST'])
  })

  test.each([
    ['malformed', '{"topic":'],
    ['empty', ''],
    ['no object', '[]'],
    ['null', 'null'],
    ['not UTF-8', Buffer.from([0x7b, 0xff, 0x7d])],
    ['nested deep', '['.repeat(30_000) + ']'.repeat(30_000)],
  ])('that is %s is a 400', async (_what, body) => {
    const response = await fetch(`${edge.url}/replay`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body,
    })
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ code: 'BAD_REQUEST' })
  })

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'application/jsonx', ''])(
    'of type %j is a 415',
    async (type) => {
      const answer = await sendRaw(
        edge.server.port,
        `POST /replay HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${type}\r\nContent-Length: 2\r\n\r\n{}`,
        'UNSUPPORTED',
      )
      expect(answer).toMatch(/^HTTP\/1.1 415 /)
    },
  )

  test('that is packed is a 415: nothing is unpacked', async () => {
    const response = await post('/replay', '{"topic":"events"}', { 'Content-Encoding': 'gzip' })
    expect(response.status).toBe(415)
  })

  test('of 20 MB is refused by its announced length, before it has come', async () => {
    const head = `POST /replay HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 20971520\r\n\r\n{"topic":`
    const answer = await sendRaw(edge.server.port, head, '"PAYLOAD_TOO_LARGE"')
    expect(answer).toMatch(/^HTTP\/1.1 413 /)
    expect(answer).toMatch(/\r\nConnection: close\r\n/)
  })

  test('of 20 MB without a length is refused as soon as it is too long, and its sender can read why', async () => {
    const chunk = Buffer.alloc(65_536, 0x20)
    const outcome = await new Promise<{ status: number; sent: number }>((resolve, reject) => {
      let sent = 0
      const sender = request(`${edge.url}/replay`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', 'Transfer-Encoding': 'chunked' },
      })
      sender.on('response', (response) => {
        response.resume().on('end', () => resolve({ status: response.statusCode ?? 0, sent }))
      })
      sender.on('error', reject)
      const more = () => {
        if (sent >= 320 || sender.destroyed || sender.writableEnded) return
        sent += 1
        sender.write(chunk, () => setImmediate(more))
      }
      more()
    })
    expect(outcome.status).toBe(413)
    expect(outcome.sent).toBeLessThan(320)
  })

  test('of exactly 64 KiB is read', async () => {
    const body = '{"topic":"events"}'.padEnd(65_536, ' ')
    expect((await post('/replay', body)).status).toBe(202)
    expect((await post('/replay', `${body} `)).status).toBe(413)
  })
})

test.each([
  [{ partition: 0 }, 'topic'],
  [{ topic: 'a b' }, 'topic'],
  [{ topic: 'events', partition: '0' }, 'partition'],
  [{ topic: 'events', all: true }, 'all'],
  [{ topic: 'events', reason: ' ' }, 'reason'],
  [{ topic: 'events', reason: 'r'.repeat(1_001) }, 'reason'],
  [{ topic: 'events', reason: 'a\u0000' }, 'reason'],
])('a new incarnation asked for with %j is refused by the name of the field', async (body, field) => {
  const response = await post('/logs/open-incarnation', body)
  expect(response.status).toBe(400)
  expect(((await response.json()) as Problem).errors?.map(({ path }) => path)).toContain(field)
})

describe('an address', () => {
  test.each(['/', '/nothing', '/replay/', '/Replay/x', '/checkpoints', '/console', '/../etc/passwd'])(
    '%s that leads nowhere is a 404 or 405 as problem+json',
    async (path) => {
      const response = await fetch(`${edge.url}${path}`)
      expect([404, 405]).toContain(response.status)
      expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/)
    },
  )

  test.each([
    ['GET', '/replay', 'POST, OPTIONS'],
    ['DELETE', '/replay/r-1', 'GET, HEAD, OPTIONS'],
    ['GET', '/replay/r-1/cancel', 'POST, OPTIONS'],
    ['PUT', '/checkpoint', 'POST, OPTIONS'],
    ['POST', '/events', 'GET, HEAD, OPTIONS'],
    ['POST', '/metrics', 'GET, HEAD, OPTIONS'],
    ['POST', '/logs', 'GET, HEAD, OPTIONS'],
    ['GET', '/logs/open-incarnation', 'POST, OPTIONS'],
  ])('%s %s is a 405 that says what is allowed', async (method, path, allow) => {
    const response = await fetch(`${edge.url}${path}`, { method })
    expect(response.status).toBe(405)
    expect(response.headers.get('allow')).toBe(allow)
    expect(await response.json()).toMatchObject({ code: 'METHOD_NOT_ALLOWED' })
  })

  test('answers OPTIONS with what is allowed and lets no other site in', async () => {
    const response = await fetch(`${edge.url}/health`, { method: 'OPTIONS' })
    expect(response.status).toBe(204)
    expect(response.headers.get('access-control-allow-origin')).toBeNull()
  })

  test.each([
    '/events/not-a-uuid',
    '/checkpoint/1',
    '/replay/a%20b',
    '/events/%FF',
    `/replay/${'x'.repeat(201)}`,
  ])('%s with a bad part is a 400', async (path) => {
    const response = await fetch(`${edge.url}${path}`)
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ code: 'BAD_REQUEST' })
  })
})

describe('a query', () => {
  test.each([
    ['/events?surprise=1', 'surprise'],
    ['/events?limit=0', 'limit'],
    ['/events?limit=1001', 'limit'],
    ['/events?limit=1e2', 'limit'],
    ['/events?limit=5&limit=6', 'limit'],
    ['/events?partition=-1', 'partition'],
    ['/events?fromOffset=9223372036854775808', 'fromOffset'],
    ['/events?classification=PUBLIC', 'classification'],
    ['/events?type=', 'type'],
    ['/events?type=%00', 'type'],
    [`/events?source=${'s'.repeat(257)}`, 'source'],
    ['/events?topic=a%20b', 'topic'],
    ['/events?__proto__=1', '__proto__'],
    ['/dead-letters?code=OOPS', 'code'],
    ['/dead-letters?incarnation=0', 'incarnation'],
    ['/events?incarnation=2147483648', 'incarnation'],
    ['/logs?state=closed', 'state'],
    ['/logs?partition=-1', 'partition'],
    ['/replays?status=done', 'status'],
    ['/checkpoints/latest?partition=x', 'partition'],
    ['/replay/r-1?verbose=1', 'verbose'],
  ])('%s is refused by the name of the field', async (path, field) => {
    const response = await fetch(`${edge.url}${path}`)
    expect(response.status).toBe(400)
    const problem = (await response.json()) as Problem
    expect(problem.errors?.map(({ path }) => path)).toContain(field)
  })
})

describe('a page of another site', () => {
  const body = { topic: 'events' }

  test.each([
    ['a cross-site request', { 'Sec-Fetch-Site': 'cross-site' }],
    ['a same-site request', { 'Sec-Fetch-Site': 'same-site' }],
    ['another origin', { Origin: 'https://evil.example' }],
    ['no origin', { Origin: 'null' }],
  ])('cannot post: %s', async (_what, headers) => {
    const before = edge.calls.length
    const response = await post('/replay', body, headers)
    expect(response.status).toBe(403)
    expect(edge.calls.slice(before)).toEqual(['record FORBIDDEN'])
  })

  test.each(['evil.example', 'evil.example:8080', 'localhost.evil.example', '127.0.0.1.evil.example'])(
    'cannot read under a name of its own: %s',
    async (host) => {
      const answer = await sendRaw(
        edge.server.port,
        `GET /replays HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
      )
      expect(answer).toMatch(/^HTTP\/1.1 403 /)
    },
  )

  test.each(['localhost', 'LOCALHOST:8080', '127.0.0.1:1', '[::1]:8080', 'api', 'api:8080', 'x.localhost'])(
    'is not what asks for %s',
    async (host) => {
      const answer = await sendRaw(
        edge.server.port,
        `GET /replays HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
      )
      expect(answer).toMatch(/^HTTP\/1.1 200 /)
    },
  )

  test('a name that was allowed is answered', async () => {
    const own = await startEdge({ allowedHosts: ['Ingest.Example'] })
    const answer = await sendRaw(
      own.server.port,
      'GET /replays HTTP/1.1\r\nHost: ingest.example:80\r\nConnection: close\r\n\r\n',
    )
    expect(answer).toMatch(/^HTTP\/1.1 200 /)
    await own.close()
  })

  test('the console under the same origin can post', async () => {
    const response = await post('/replay', body, {
      Origin: edge.url,
      'Sec-Fetch-Site': 'same-origin',
    })
    expect(response.status).toBe(202)
  })
})

describe('every answer', () => {
  test('carries security headers and no name of the software', async () => {
    const { headers } = await fetch(`${edge.url}/replays`)
    expect(headers.get('content-security-policy')).toBe("default-src 'none';frame-ancestors 'none'")
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.get('x-powered-by')).toBeNull()
    expect(headers.get('server')).toBeNull()
  })

  test('has a request id: the caller’s when it is plain, else a new one', async () => {
    const own = await fetch(`${edge.url}/health`, { headers: { 'X-Request-Id': 'abc-1' } })
    expect(own.headers.get('x-request-id')).toBe('abc-1')
    const odd = await fetch(`${edge.url}/nothing`, { headers: { 'X-Request-Id': 'a b\tc' } })
    const id = odd.headers.get('x-request-id')
    expect(id).toMatch(/^[0-9a-f-]{36}$/)
    expect(await odd.json()).toMatchObject({ requestId: id })
  })
})
