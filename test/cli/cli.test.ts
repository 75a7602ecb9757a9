import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { userInfo } from 'node:os'
import { afterEach, describe, expect, test } from 'vitest'
import type { LogStanding, LogView } from '../../src/domain/logView.ts'
import type { ReplayRequest, ReplayStatus } from '../../src/domain/replay.ts'
import type { ReplayView } from '../../src/domain/replayView.ts'
import { ServiceError } from '../../src/errors.ts'
import { lastingPorts } from '../../stack/ports.ts'
import { type Edge, type EdgeOptions, replayView, startEdge } from '../api/edge.ts'
import { runCli, startCli } from './run.ts'

const checkpointId = '0d3b3ab6-5c26-4b5c-a5fb-1b7a1a1b1c1d'

let edge: Edge | null = null
afterEach(async () => {
  await edge?.close()
  edge = null
})

async function api(options?: EdgeOptions): Promise<Record<string, string>> {
  edge = await startEdge(options)
  // The name, not the address: it must reach a server that listens on 127.0.0.1 only.
  return { API_URL: `http://localhost:${edge.server.port}` }
}

/** A replay that moves one step with each look at it. */
function stepping(...steps: readonly ReplayStatus[]): (id: string) => Promise<ReplayView> {
  let looks = 0
  return async (id) => {
    const status = steps[Math.min(looks, steps.length - 1)] ?? 'completed'
    looks += 1
    const scanned = status === 'completed' ? 1_000 : Math.min(999, looks * 250)
    return {
      ...replayView(id, status),
      progress: { events: String(scanned), scanned: String(scanned), total: '1000' },
      ...(status === 'completed' && {
        receipt: { events: '1000', logs: [{ partition: 0, events: '1000', rootHash: 'ab'.repeat(32) }] },
      }),
      ...(status === 'failed' && { error: { code: 'CURSOR_LOST', detail: 'The cursor is gone' } }),
    }
  }
}

describe('the commands of the seed', () => {
  test('from-checkpoint sends what its flags say and follows to the end', async () => {
    const requests: [ReplayRequest, string][] = []
    const env = await api({
      operations: {
        startReplay: async (request, by) => {
          requests.push([request, by])
          return replayView('r-1', 'planning')
        },
        getReplay: stepping('planning', 'running', 'completed'),
      },
    })
    const flags = `from-checkpoint --checkpoint-id ${checkpointId} --topic events --target-topic events-replay --event-types entity.created,entity.updated`
    const { code, stdout, stderr } = await runCli(flags.split(' '), env)
    expect(stderr).toBe('')
    expect(code).toBe(0)
    expect(requests).toEqual([
      [
        {
          topic: 'events',
          checkpointId,
          targetTopic: 'events-replay',
          filters: { eventTypes: ['entity.created', 'entity.updated'] },
        },
        userInfo().username,
      ],
    ])
    expect(stdout.split('\n')).toEqual([
      'replay r-1 started: events to events-replay',
      'planning  25.0 %  250 events',
      expect.stringMatching(/^running {2}50\.0 % {2}500 events/),
      expect.stringMatching(/^completed: 1,000 events from events to events-replay/),
      `  partition 0: 1,000 events, root ${'ab'.repeat(32)}`,
      '',
    ])
  })

  test('from-offset takes its range, sources, tenants and partition', async () => {
    const requests: ReplayRequest[] = []
    const env = await api({
      operations: {
        startReplay: async (request) => {
          requests.push(request)
          return replayView('r-2', 'planning')
        },
      },
    })
    const flags =
      'from-offset --from-offset 1000 --to-offset 2000 --topic events --sources intelligence-platform,copilot-service --tenant-ids t1 --partition 3 --detach'
    const { code, stdout } = await runCli(flags.split(' '), env)
    expect(code).toBe(0)
    expect(requests).toEqual([
      {
        topic: 'events',
        fromOffset: '1000',
        toOffset: '2000',
        partition: 3,
        filters: { sources: ['intelligence-platform', 'copilot-service'], tenantIds: ['t1'] },
      },
    ])
    expect(stdout).toContain('Follow it: pnpm replay follow r-2')
  })

  test.each(['5000', 'Offset:5000'])('create-checkpoint takes --offset %s', async (given) => {
    const env = await api({
      operations: {
        createCheckpoint: async ({ topic, partition, offset }, createdBy) => ({
          id: checkpointId,
          topic,
          ...(partition !== undefined && { partition }),
          ...(offset !== undefined && { offset }),
          createdAt: '2026-01-01T00:00:00.000Z',
          createdBy,
          positions: [
            { partition: 0, offset: '5000', size: '4990', rootHash: 'cd'.repeat(32), signedBy: [] },
          ],
        }),
      },
    })
    const flags = `create-checkpoint --topic events --partition 0 --offset ${given}`
    const { code, stdout } = await runCli(flags.split(' '), env)
    expect(code).toBe(0)
    expect(stdout).toContain(`checkpoint ${checkpointId}`)
    expect(stdout).toContain('partition 0: below offset 5000, 4,990 leaves')
    expect(edge?.recorded[0]?.detail).toEqual({ topic: 'events', partition: 0, offset: '5000' })
  })

  test('get-checkpoint says when there is none', async () => {
    const env = await api()
    const { code, stderr } = await runCli(['get-checkpoint', '--checkpoint-id', checkpointId], env)
    expect(code).toBe(2)
    expect(stderr).toBe(`CHECKPOINT_NOT_FOUND: There is no checkpoint ${checkpointId}\n`)
  })
})

describe('bad input ends with 2 and one line that names the flag', () => {
  test.each([
    ['', /help|Usage/],
    ['replay-everything', /unknown command/],
    ['from-offset --topic events', /--from-offset/],
    ['from-offset --from-offset 5 --to-offset 5 --topic events', /^--to-offset: /],
    ['from-offset --from-offset x --topic events', /^--from-offset: /],
    ['from-offset --from-offset 1 --topic events --partition x', /^--partition: /],
    ['from-offset --from-offset 1 --topic events --event-types ,', /^--event-types: /],
    ['from-offset --from-offset 1 --topic events --target-topic events', /^--target-topic: /],
    ['from-offset --from-offset 1 --topic events --verbose', /--verbose/],
    ['from-checkpoint --checkpoint-id null --topic events', /^--checkpoint-id: /],
    ['create-checkpoint --topic events --offset 5', /^--partition: /],
    ['create-checkpoint --topic events --partition 0 --offset Offset:', /^--offset: /],
    ['get-checkpoint --checkpoint-id 1', /^--checkpoint-id: /],
    ['follow', /replay-id/],
    ['follow a/b', /not a replay id/],
    ['log open-incarnation', /--topic/],
    ['log open-incarnation --topic events --partition x', /^--partition: /],
    ['log open-incarnation --topic events --all --partition 0', /^--all and --partition/],
    ['log close', /unknown command/],
  ])('%s', async (line, said) => {
    const args = line === '' ? [] : line.split(' ')
    const { code, stdout, stderr } = await runCli(args, { API_URL: 'http://127.0.0.1:9' })
    expect(code).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toMatch(said)
    if (line !== '') expect(stderr.trimEnd()).not.toContain('\n')
  })

  test('an API_URL that is none', async () => {
    const { code, stderr } = await runCli(['list'], { API_URL: 'localhost:8080' })
    expect(code).toBe(2)
    expect(stderr).toMatch(/^API_URL must be/)
  })

  test('what the API refuses', async () => {
    const env = await api({
      operations: {
        checkReplay: async () => {
          throw new ServiceError('UNKNOWN_TOPIC', 'There is no log of topic nope')
        },
      },
    })
    const { code, stderr } = await runCli(['from-offset', '--from-offset', '0', '--topic', 'nope'], env)
    expect(code).toBe(2)
    expect(stderr).toBe('UNKNOWN_TOPIC: There is no log of topic nope\n')
  })
})

test.each([
  ['OFFSET_NOT_INGESTED', 2],
  ['CHECKPOINT_MISMATCH', 1],
] as const)('a refusal with %s names the flag, keeps its code and ends with %d', async (code, exitCode) => {
  const env = await api({
    operations: {
      checkReplay: async () => {
        const fields = [{ path: 'checkpointId', message: 'does not fit' }]
        throw new ServiceError(code, 'checkpointId: does not fit', { fields })
      },
    },
  })
  const flags = ['from-checkpoint', '--checkpoint-id', checkpointId, '--topic', 'events', '--json']
  const run = await runCli(flags, env)
  expect(run.code).toBe(exitCode)
  expect(run.stderr).toBe('--checkpoint-id: does not fit\n')
  expect(JSON.parse(run.stdout)).toMatchObject({ error: { code } })
})

describe('help', () => {
  test.each([
    ['--help', 'Usage: replay'],
    ['from-offset --help', 'Usage: replay from-offset'],
    ['log --help', 'Usage: log'],
    ['log open-incarnation --help', 'Usage: log open-incarnation'],
  ])('%s ends with 0', async (line, usage) => {
    const { code, stdout } = await runCli(line.split(' '))
    expect(code).toBe(0)
    expect(stdout).toContain(usage)
  })
})

describe('a failure ends with 1', () => {
  test('a replay that failed', async () => {
    const env = await api({ operations: { getReplay: stepping('running', 'failed') } })
    const { code, stdout, stderr } = await runCli(['follow', 'r-1'], env)
    expect(code).toBe(1)
    expect(stderr).toBe('replay r-1 failed after 500 events: CURSOR_LOST: The cursor is gone\n')
    expect(stdout).toContain('Go on with: pnpm replay recover-cursor r-1\n')
  })

  test('a replay that was cancelled', async () => {
    const env = await api({ operations: { getReplay: stepping('cancelled') } })
    expect((await runCli(['follow', 'replay/r-1'], env)).code).toBe(1)
  })

  test('an API that does not run, in one line that says what to do', async () => {
    const [port] = await lastingPorts(1)
    const { code, stderr } = await runCli(['list'], { API_URL: `http://localhost:${port}` })
    expect(code).toBe(1)
    expect(stderr).toMatch(
      /^The API at http:\/\/localhost:\d+ does not answer \(ECONNREFUSED\): start it .* or set API_URL\n$/,
    )
  })

  test('something else where the API should be', async () => {
    const stranger = createServer((_req, res) => res.end('<h1>hello</h1>')).listen(0, '127.0.0.1')
    await new Promise((resolve) => stranger.once('listening', resolve))
    const { port } = stranger.address() as AddressInfo
    const { code, stderr } = await runCli(['list'], { API_URL: `http://127.0.0.1:${port}` })
    stranger.close()
    expect(code).toBe(1)
    expect(stderr).toContain('is not this API')
  })

  test('Temporal down: 503', async () => {
    const env = await api({
      operations: {
        startReplay: async () => {
          throw new ServiceError('TEMPORAL_UNAVAILABLE', 'Temporal does not answer')
        },
      },
    })
    const { code, stderr } = await runCli(['from-offset', '--from-offset', '0', '--topic', 'events'], env)
    expect(code).toBe(1)
    expect(stderr).toMatch(/^TEMPORAL_UNAVAILABLE: Temporal does not answer \(request [0-9a-f-]+\)\n$/)
  })
})

test('a start that nobody answered can be found: the CLI chose the id', async () => {
  const silent = createServer((req) => req.socket.destroy()).listen(0, '127.0.0.1')
  await new Promise((resolve) => silent.once('listening', resolve))
  const { port } = silent.address() as AddressInfo
  const env = { API_URL: `http://127.0.0.1:${port}` }
  const { code, stderr } = await runCli(['from-offset', '--from-offset', '0', '--topic', 'events'], env)
  silent.close()
  expect(code).toBe(1)
  expect(stderr).toMatch(/whether it was begun is not known, see: pnpm replay follow [0-9a-f-]{36}\n$/)
})

describe('--json', () => {
  test('puts one object on stdout and progress on stderr', async () => {
    const env = await api({ operations: { getReplay: stepping('running', 'completed') } })
    const { code, stdout, stderr } = await runCli(['follow', 'r-1', '--json'], env)
    expect(code).toBe(0)
    expect(stdout.endsWith('\n')).toBe(true)
    expect(JSON.parse(stdout)).toMatchObject({ replayId: 'r-1', status: 'completed' })
    expect(stderr).toContain('running')
  })

  test.each([
    ['from-offset --from-offset x --topic events --json', 2, 'BAD_REQUEST'],
    ['from-offset --topic events --json', 2, 'BAD_REQUEST'],
    ['list --json', 1, 'UNREACHABLE'],
  ])('%s: an error is an object too', async (line, exitCode, errorCode) => {
    const { code, stdout } = await runCli(line.split(' '), { API_URL: 'http://127.0.0.1:9' })
    expect(code).toBe(exitCode)
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: errorCode } })
  })
})

describe('Ctrl-C', () => {
  test.each(['SIGINT', 'SIGTERM'] as const)(
    '%s detaches and says how to follow or cancel',
    async (signal) => {
      const env = await api({ operations: { getReplay: stepping('running') } })
      const cli = startCli(['follow', 'r-1'], env)
      await cli.said('running')
      cli.process.kill(signal)
      const { code, stdout } = await cli.ended
      expect(code).toBe(0)
      expect(stdout).toContain('detached, the replay goes on. Follow it: pnpm replay follow r-1')
      expect(stdout).toContain('Cancel it: pnpm replay cancel r-1')
      expect(edge?.recorded).toEqual([])
    },
  )
})

test('following outlives an API that is restarted', async () => {
  let looks = 0
  const env = await api({
    operations: {
      getReplay: async (id) => {
        looks += 1
        if (looks === 2) throw new ServiceError('TEMPORAL_UNAVAILABLE', 'Temporal does not answer')
        return replayView(id, looks < 3 ? 'running' : 'completed')
      },
    },
  })
  expect((await runCli(['follow', 'r-1'], env)).code).toBe(0)
})

test('recover-cursor sends what was decided and why, and follows the replay to its end', async () => {
  const asked: unknown[] = []
  const env = await api({
    operations: {
      recoverCursor: async (id, recovery, by) => {
        asked.push([id, recovery, by])
        return replayView(id)
      },
      getReplay: stepping('running', 'completed'),
    },
  })
  const flags = ['recover-cursor', 'replay/r-1', '--reason', 'a cleaner took the group', '--accept-doubles']
  const { code, stdout } = await runCli(flags, env)
  expect(code).toBe(0)
  expect(asked).toEqual([
    ['r-1', { acceptDoubles: true, reason: 'a cleaner took the group' }, userInfo().username],
  ])
  expect(stdout).toMatch(/^the cursor of replay r-1 is recovered/)
  expect(stdout).toContain('completed: 1,000 events')
  expect((await runCli(['recover-cursor', 'r-1', '--detach'], env)).stdout).toContain(
    'Follow it: pnpm replay follow r-1',
  )
})

test('log list shows every incarnation in the order of its place, over all pages', async () => {
  const log = (partition: number, incarnation: number, standing: LogStanding): LogView => ({
    topic: 'events',
    partition,
    incarnation,
    topicId: '00000000-0000-4000-8000-000000000000',
    startOffset: '0',
    nextOffset: '1500',
    size: '1500',
    lastIngestedAt: null,
    ...standing,
  })
  const env = await api({
    operations: {
      listLogs: async ({ topic, cursor }) => {
        expect(topic).toBe('events')
        return cursor === undefined
          ? { items: [log(1, 1, { state: 'open' }), log(0, 1, { state: 'superseded' })], nextCursor: 'c' }
          : { items: [log(0, 2, { state: 'closed', code: 'SOURCE_TRUNCATED' })], nextCursor: null }
      },
    },
  })
  const { code, stdout } = await runCli(['log', 'list', '--topic', 'events'], env)
  expect(code).toBe(0)
  const rest = 'offsets 0 to 1500 (exclusive), 1,500 leaves  topic id 00000000-0000-4000-8000-000000000000'
  expect(stdout.trimEnd().split('\n')).toEqual([
    `events/0  incarnation 1  superseded  ${rest}`,
    `events/0  incarnation 2  closed (SOURCE_TRUNCATED)  ${rest}`,
    `events/1  incarnation 1  open  ${rest}`,
  ])
})

test.each(['cancel', 'pause', 'resume'])('%s asks the API', async (verb) => {
  const env = await api()
  const { code, stdout } = await runCli([verb, 'r-1'], env)
  expect(code).toBe(0)
  expect(stdout).toMatch(/^replay r-1: /)
  expect(edge?.recorded).toMatchObject([{ action: `replay.${verb}`, target: 'r-1', outcome: 'accepted' }])
})
