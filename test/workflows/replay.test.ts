import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { CancelledFailure, Context } from '@temporalio/activity'
import { WorkflowFailedError } from '@temporalio/client'
import { ApplicationFailure } from '@temporalio/common'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Activities, PlanInput, PlannedLog, ReplayEnd } from '../../activities/contract.ts'
import type { ReplayReceiptView, ReplayView } from '../../src/domain/replayView.ts'
import type { ErrorCode } from '../../src/errors.ts'
import { arithmeticActivities, type Harness, openHarness } from './harness.ts'

let harness: Harness
beforeAll(async () => {
  harness = await openHarness()
})
afterAll(() => harness.close())

const start = (activities: Activities, args: unknown[] = [events], workflowId = harness.play(activities)) =>
  harness.client.workflow.start('replay', { taskQueue: harness.taskQueue, workflowId, args })

const events = { topic: 'events', targetTopic: 'target' }

/** What a failed workflow says. */
async function failureOf(
  result: Promise<unknown>,
): Promise<{ type: string | null | undefined; message: string }> {
  const error: unknown = await result.then(
    () => new Error('it did not fail'),
    (reason: unknown) => reason,
  )
  if (!(error instanceof WorkflowFailedError)) throw error
  if (error.cause instanceof CancelledFailure) return { type: 'cancelled', message: error.cause.message }
  if (!(error.cause instanceof ApplicationFailure)) throw error
  return { type: error.cause.type, message: error.cause.message }
}

/** Slices that go on until they are cancelled or `isOver`, and count what they do. */
function untilCancelled(running: Set<number>, isOver = () => false) {
  return async (log: PlannedLog, from: bigint): Promise<bigint> => {
    const { cancellationSignal } = Context.current()
    running.add(log.partition)
    let cursor = from
    while (!cancellationSignal.aborted && !isOver() && cursor < BigInt(log.to)) {
      cursor += 1n
      Context.current().heartbeat()
      await sleep(20)
    }
    running.delete(log.partition)
    return isOver() ? BigInt(log.to) : cursor
  }
}

/** A stored replay that has failed. */
function withLostCursor(activities: Activities, code: ErrorCode = 'CURSOR_LOST'): Activities {
  const ended: ReplayEnd = { status: 'failed', error: { code, detail: 'the cursor is gone' } }
  return { ...activities, planReplay: async (input) => ({ ...(await activities.planReplay(input)), ended }) }
}

const least = (left: bigint, right: bigint): bigint => (left < right ? left : right)

const view = (handle: { query<T>(name: string): Promise<T> }) => handle.query<ReplayView>('progress')

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(10)
}

describe('a replay', () => {
  it('replays every log slice by slice and returns the receipt', async () => {
    const slice = async (log: PlannedLog, from: bigint) => least(from + 40n, BigInt(log.to))
    const { activities, calls } = arithmeticActivities({ logs: 3, perLog: 100, slice })
    const handle = await start(activities)
    const receipt = (await handle.result()) as ReplayReceiptView
    expect(receipt.events).toBe('300')
    expect(receipt.logs.map(({ partition }) => partition)).toEqual([0, 1, 2])
    expect(calls).toEqual(['plan', 'running', 'fence', 'finish completed'])
    const shown = await view(handle)
    expect(shown).toMatchObject({
      status: 'completed',
      topic: 'events',
      targetTopic: 'target',
      progress: { events: '300', scanned: '300', total: '300' },
      receipt,
    })
    expect(shown.logs[2]).toEqual({ partition: 2, from: '0', to: '100', cursor: '100', events: '100' })
  })

  it('runs 60 logs, four at a time, at few events of history each', async () => {
    let now = 0
    let most = 0
    const slice = async (log: PlannedLog) => {
      most = Math.max(most, ++now)
      await sleep(5)
      now--
      return BigInt(log.to)
    }
    const { activities } = arithmeticActivities({ logs: 60, perLog: 10, slice })
    const handle = await start(activities)
    expect(((await handle.result()) as ReplayReceiptView).events).toBe('600')
    expect(most).toBeLessThanOrEqual(4)
    const { historyLength } = await handle.describe()
    // 200 took 1,355 of the 51,200 events that a history can have. Nine each, where no two are seen at once.
    expect(historyLength).toBeLessThan(60 * 9 + 60)
  }, 180_000)

  it('stops within a second or two when it is paused, and goes on when it is resumed', async () => {
    const running = new Set<number>()
    let isOver = false
    const { activities, calls, cursors } = arithmeticActivities({
      logs: 6,
      perLog: 1_000_000,
      slice: untilCancelled(running, () => isOver),
    })
    const handle = await start(activities)
    await until(() => running.size === 4)
    const askedAt = performance.now()
    const paused = await handle.executeUpdate<ReplayView, []>('pause')
    expect(performance.now() - askedAt).toBeLessThan(10_000)
    expect(running.size).toBe(0)
    expect(paused.status).toBe('paused')
    const before = new Map(cursors)
    expect(paused.logs.slice(0, 4).map((log) => BigInt(log.cursor))).toEqual(inLogOrder(before))
    await sleep(500)
    expect(cursors).toEqual(before)

    expect((await handle.executeUpdate<ReplayView, []>('resume')).status).toBe('running')
    isOver = true
    expect(((await handle.result()) as ReplayReceiptView).events).toBe('6000000')
    expect(calls).toEqual(['plan', 'running', 'paused', 'running', 'fence', 'finish completed'])
  })

  it('is paused, resumed and cancelled although its slices are lost with their worker', {
    timeout: 120_000,
  }, async () => {
    let lost = true
    const slice = async (log: PlannedLog, from: bigint) => {
      // Neither a heartbeat nor an answer.
      while (lost) await sleep(50)
      return from < 50n ? 50n : BigInt(log.to)
    }
    for (const ending of ['completed', 'cancelled'] as const) {
      lost = true
      const { activities, calls } = arithmeticActivities({ logs: 1, perLog: 100, slice })
      const handle = await start(activities)
      await until(() => calls.includes('running'))
      expect((await handle.executeUpdate<ReplayView, []>('pause')).status).toBe('paused')
      if (ending === 'completed') {
        lost = false
        await handle.executeUpdate('resume')
        expect(await handle.result()).toMatchObject({ events: '100' })
      } else {
        await handle.executeUpdate('resume')
        await handle.cancel()
        expect(await failureOf(handle.result())).toMatchObject({ type: 'cancelled' })
        lost = false
      }
      expect(calls.at(-1)).toBe(`finish ${ending}`)
    }
  })

  it('fences before it is cancelled, running or paused', async () => {
    for (const pausedFirst of [false, true]) {
      const running = new Set<number>()
      const { activities, calls } = arithmeticActivities({
        logs: 2,
        perLog: 1_000_000,
        slice: untilCancelled(running),
      })
      const handle = await start(activities)
      await until(() => running.size === 2)
      if (pausedFirst) await handle.executeUpdate('pause')
      const askedAt = performance.now()
      await handle.cancel()
      expect(await failureOf(handle.result())).toMatchObject({ type: 'cancelled' })
      expect(performance.now() - askedAt).toBeLessThan(10_000)
      expect(running.size).toBe(0)
      expect(calls.slice(-2)).toEqual(['fence', 'finish cancelled'])
      expect(await view(handle)).toMatchObject({ status: 'cancelled', error: { code: 'CANCELLED' } })
      expect((await handle.describe()).status.name).toBe('CANCELLED')
      await expect(handle.executeUpdate('pause')).rejects.toThrow()
    }
  })

  it('stops all logs, fences and fails with the code when one log fails', async () => {
    const running = new Set<number>()
    const go = untilCancelled(running)
    const slice = async (log: PlannedLog, from: bigint) => {
      if (log.partition !== 1) return await go(log, from)
      await until(() => running.size === 1)
      throw ApplicationFailure.nonRetryable('partition 1: the cursor is gone', 'CURSOR_LOST')
    }
    const { activities, calls } = arithmeticActivities({ logs: 2, perLog: 1_000_000, slice })
    const handle = await start(activities)
    const expected = { type: 'CURSOR_LOST', message: 'partition 1: the cursor is gone' }
    expect(await failureOf(handle.result())).toEqual(expected)
    expect(running.size).toBe(0)
    expect(calls).toEqual(['plan', 'running', 'fence', 'finish failed'])
    expect(await view(handle)).toMatchObject({ status: 'failed', error: { code: 'CURSOR_LOST' } })
  })

  it('fails with COUNT_MISMATCH when less was produced than planned', async () => {
    const slice = async (log: PlannedLog) => BigInt(log.to)
    const { activities, calls } = arithmeticActivities({ logs: 1, perLog: 100, slice })
    const honest = activities.fenceReplay
    activities.fenceReplay = async (input) => {
      const fenced = await honest(input)
      return { ...fenced, logs: fenced.logs.map((log) => ({ ...log, events: '99' })) }
    }
    const handle = await start(activities)
    expect(await failureOf(handle.result())).toMatchObject({ type: 'COUNT_MISMATCH' })
    expect(calls.at(-1)).toBe('finish failed')
  })

  it('fails with TARGET_RECREATED when the target is another topic at the end', async () => {
    const slice = async (log: PlannedLog) => BigInt(log.to)
    const { activities } = arithmeticActivities({ logs: 1, perLog: 100, slice })
    const honest = activities.fenceReplay
    activities.fenceReplay = async (input) => ({ ...(await honest(input)), targetUnchanged: false })
    const handle = await start(activities)
    expect(await failureOf(handle.result())).toMatchObject({ type: 'TARGET_RECREATED' })
  })

  it('writes nothing down when the plan is refused: the id may be another replay’s', async () => {
    const slice = async (log: PlannedLog) => BigInt(log.to)
    const { activities, calls } = arithmeticActivities({ logs: 1, perLog: 100, slice })
    activities.planReplay = async () => {
      throw ApplicationFailure.nonRetryable('the id is taken', 'REPLAY_ID_REUSED')
    }
    const handle = await start(activities)
    expect(await failureOf(handle.result())).toEqual({ type: 'REPLAY_ID_REUSED', message: 'the id is taken' })
    expect(calls).toEqual([])
  })

  it('returns the stored receipt, or says that it has ended, when the stored replay is over', async () => {
    const slice = async (log: PlannedLog) => BigInt(log.to)
    const receipt = { events: '100', logs: [{ partition: 0, events: '100', rootHash: 'ab'.repeat(32) }] }
    const { activities, calls } = arithmeticActivities({ logs: 1, perLog: 100, slice })
    const plan = activities.planReplay
    const startEnded = (end: ReplayEnd) => {
      const planReplay = async (input: PlanInput) => ({ ...(await plan(input)), ended: end })
      return start({ ...activities, planReplay })
    }
    const completed = await startEnded({ status: 'completed', receipt })
    expect(await completed.result()).toEqual(receipt)
    const error = { code: 'CANCELLED', detail: 'the replay was cancelled' } as const
    const cancelled = await startEnded({ status: 'cancelled', error })
    expect(await failureOf(cancelled.result())).toMatchObject({ type: 'REPLAY_ENDED' })
    expect(calls).toEqual(['plan', 'plan'])
  })

  it('goes on from recovered cursors when it failed for a lost one and is asked to', async () => {
    const slices: string[] = []
    const slice = async (log: PlannedLog, from: bigint) => {
      slices.push(`${log.partition} from ${from}`)
      return BigInt(log.to)
    }
    const { activities, calls, cursors } = arithmeticActivities({ logs: 2, perLog: 100, slice })
    cursors.set(0, 40n)
    cursors.set(1, 100n)
    const lost = withLostCursor(activities)
    const handle = await start(lost, [events, null, { acceptDoubles: true }])
    expect(await handle.result()).toMatchObject({ events: '200' })
    expect(calls).toEqual(['plan', 'recover, doubles accepted', 'running', 'fence', 'finish completed'])
    expect(slices).toEqual(['0 from 40'])
    expect((await view(handle)).error).toBeUndefined()
  })

  it('fails with what its recovery fails with, fenced and written down anew', async () => {
    const { activities, calls } = arithmeticActivities({ logs: 1, perLog: 100, slice: async () => 100n })
    const recoverCursor = async () => {
      throw ApplicationFailure.nonRetryable('the target does not tell', 'CURSOR_LOST')
    }
    const handle = await start({ ...withLostCursor(activities), recoverCursor }, [events, null, {}])
    expect(await failureOf(handle.result())).toEqual({
      type: 'CURSOR_LOST',
      message: 'the target does not tell',
    })
    expect(calls.filter((call) => call !== 'running')).toEqual(['plan', 'fence', 'finish failed'])
  })

  it('is recovered only where it was asked for, and only from a lost cursor', async () => {
    const { activities, calls } = arithmeticActivities({ logs: 1, perLog: 100, slice: async () => 100n })
    const unasked = await start(withLostCursor(activities))
    expect(await failureOf(unasked.result())).toMatchObject({ type: 'REPLAY_ENDED' })
    const other = { ...withLostCursor(activities, 'TARGET_RECREATED') }
    const elsewhere = await start(other, [events, null, {}])
    expect(await failureOf(elsewhere.result())).toMatchObject({ type: 'REPLAY_ENDED' })
    expect(calls).toEqual(['plan', 'plan'])
    for (const recovery of [7, { acceptDoubles: 'yes' }, { force: true }]) {
      const bad = await start(withLostCursor(activities), [events, null, recovery])
      expect(await failureOf(bad.result())).toMatchObject({ type: 'BAD_REQUEST' })
    }
  })

  it('tells Temporal what it does, in search attributes and details', async () => {
    const slice = async (log: PlannedLog) => BigInt(log.to)
    const { activities } = arithmeticActivities({ logs: 1, perLog: 100, slice })
    const handle = await start(activities)
    await handle.result()
    const { searchAttributes } = await handle.describe()
    expect(searchAttributes).toMatchObject({
      ReplayTopic: ['events'],
      ReplayTarget: ['target'],
      ReplayStatus: ['completed'],
    })
    const metadata = await handle.query<{ currentDetails: string }>('__temporal_workflow_metadata')
    expect(metadata.currentDetails).toContain('**events** → **target**: completed')
  })
})

describe('a replay refuses', () => {
  const refused: [what: string, input: unknown, message: RegExp][] = [
    ['no input', undefined, /object/],
    ['text', 'events', /object/],
    ['a missing topic', {}, /topic/],
    ['an unknown field', { topic: 'events', tpoic: 'x' }, /tpoic/],
    ['a topic that Kafka would not take', { topic: 'a b' }, /topic/],
    ['a partition out of range', { topic: 'events', partition: -1 }, /partition/],
    ['a negative offset', { topic: 'events', fromOffset: '-1' }, /fromOffset/],
    ['a huge offset', { topic: 'events', toOffset: '9223372036854775808' }, /toOffset/],
    ['a range that ends before it begins', { topic: 'events', fromOffset: '5', toOffset: '5' }, /toOffset/],
    ['an id that is no checkpoint’s', { topic: 'events', checkpointId: 'x' }, /checkpointId/],
    [
      'a checkpoint and a range together',
      { topic: 'events', checkpointId: randomUUID(), fromOffset: '5' },
      /fromOffset/,
    ],
    ['its own source as the target', { topic: 'events', targetTopic: 'events' }, /targetTopic/],
    ['filters that are no lists', { topic: 'events', filters: { eventTypes: 'a' } }, /filters\.eventTypes/],
  ]
  it.each(refused)('%s', async (_, input, message) => {
    const { activities, calls } = arithmeticActivities({ logs: 1, perLog: 1, slice: async () => 1n })
    const failure = await failureOf((await start(activities, [input])).result())
    expect(failure).toEqual({ type: 'BAD_REQUEST', message: expect.stringMatching(message) })
    expect(calls).toEqual([])
  })

  it('other workflow ids', async () => {
    const { activities, calls } = arithmeticActivities({ logs: 1, perLog: 1, slice: async () => 1n })
    for (const workflowId of [randomUUID(), `replay/${randomUUID()}/x`, `replay/`]) {
      const failure = await failureOf((await start(activities, [events], workflowId)).result())
      expect(failure).toEqual({ type: 'BAD_REQUEST', message: expect.stringMatching(/workflowId/) })
    }
    expect(calls).toEqual([])
  })

  it('what looks like the state that a run hands to the next', async () => {
    const { activities } = arithmeticActivities({ logs: 1, perLog: 7, slice: async () => 7n })
    const forged = { paused: true, logs: [{ partition: 0, cursor: '7', events: '7' }] }
    const handle = await start(activities, [events, forged])
    expect(await handle.result()).toMatchObject({ events: '7' })
  })
})

/** By partition: which log a worker takes first is open. */
const inLogOrder = (cursors: ReadonlyMap<number, bigint>): bigint[] =>
  [...cursors].sort(([left], [right]) => left - right).map(([, cursor]) => cursor)
