/** The Temporal Schedules that make checkpoints: one for each topic that has one. */
import {
  type Client,
  ScheduleAlreadyRunning,
  type ScheduleDescription,
  ScheduleNotFoundError,
  type ScheduleOptions,
} from '@temporalio/client'
import { logsOf } from '../../activities/ranges.ts'
import {
  type CheckpointScheduleRequest,
  type CheckpointScheduleView,
  lookPeriod,
  nameOfSettings,
  parseCheckpointSchedule,
} from '../domain/checkpointSchedule.ts'
import { topicName } from '../domain/requestFields.ts'
import { ServiceError } from '../errors.ts'
import type { CheckpointStanding, CheckpointStore, EventLogReader, Page } from '../ports.ts'
import { lastRuns } from './checkpointScheduleRuns.ts'
import type { TemporalClient } from './temporalClient.ts'
import { fromTemporal } from './temporalErrors.ts'

export interface CheckpointScheduleDependencies {
  readonly temporal: Pick<TemporalClient, 'client'>
  readonly taskQueue: string
  readonly log: EventLogReader
  readonly checkpoints: Pick<CheckpointStore, 'standingOf'>
}

/** All throw ServiceError and are bounded in time. */
export interface CheckpointSchedules {
  /** Changes nothing. Throws UNKNOWN_TOPIC. */
  check(topic: string): Promise<void>
  /** Whether there is one to remove, in whatever state. Throws SCHEDULE_NOT_FOUND. */
  checkRemoval(topic: string): Promise<void>
  /** Throws SCHEDULE_NOT_FOUND. */
  get(topic: string): Promise<CheckpointScheduleView>
  /** By topic, without the last runs. Temporal lists a new one, and forgets an ended one, some moments late. */
  list(query: { readonly cursor?: string; readonly limit: number }): Promise<Page<CheckpointScheduleView>>
  /** Makes or changes it: the same again is the same schedule. A look that is due while the one before goes on is left out. */
  put(request: CheckpointScheduleRequest, requestedBy: string): Promise<CheckpointScheduleView>
  /** A checkpoint under way is still made. Throws SCHEDULE_NOT_FOUND. */
  remove(topic: string): Promise<void>
}

/** One for each installation and topic: several may share a namespace, but no task queue; topics have no slash. */
export const checkpointScheduleId = (taskQueue: string, topic: string): string =>
  `${idPrefix(taskQueue)}${topic}`

const idPrefix = (taskQueue: string): string => `checkpoint/${taskQueue}/`

const CALL_MS = 8_000
const DESCRIBED_AT_ONCE = 16
const MIN_CATCHUP_MS = 60_000
const MAX_CATCHUP_MS = 86_400_000

export function createCheckpointSchedules(deps: CheckpointScheduleDependencies): CheckpointSchedules {
  const { taskQueue } = deps
  const { client } = deps.temporal
  const handleOf = (topic: string) => client.schedule.getHandle(checkpointScheduleId(taskQueue, topic))
  const bounded = async <Value>(topic: string, call: () => Promise<Value>): Promise<Value> => {
    try {
      return await client.withDeadline(Date.now() + CALL_MS, call)
    } catch (error) {
      if (error instanceof ScheduleAlreadyRunning) throw error
      if (error instanceof ScheduleNotFoundError)
        throw new ServiceError('SCHEDULE_NOT_FOUND', `no checkpoints of ${topic} are made on a schedule`)
      throw fromTemporal(error)
    }
  }
  const describe = (topic: string) => bounded(topic, () => handleOf(topic).describe())
  const get = async (topic: string): Promise<CheckpointScheduleView> => {
    const description = await describe(topic)
    const [standing, runs] = await Promise.all([
      deps.checkpoints.standingOf(topic),
      bounded(topic, () => lastRuns(client, description.info.recentActions)),
    ])
    return { ...viewOf(topic, description, standing), lastRuns: runs }
  }
  return {
    check: async (topic) => void (await logsOf(deps.log, topic, undefined)),
    checkRemoval: async (topic) => void (await describe(topic)),
    get,
    async list({ cursor, limit }) {
      const after = cursor === undefined ? '' : topicOf(cursor)
      const known = await bounded('any topic', () => scheduledTopics(client, taskQueue))
      const behind = known.filter((topic) => topic > after)
      const page = behind.slice(0, limit)
      const last = page.at(-1)
      const items: CheckpointScheduleView[] = []
      for (let at = 0; at < page.length; at += DESCRIBED_AT_ONCE) {
        const found = page.slice(at, at + DESCRIBED_AT_ONCE).map(async (topic) => {
          const [description, standing] = await Promise.all([
            describe(topic).catch(absent),
            deps.checkpoints.standingOf(topic),
          ])
          return description === null ? [] : [viewOf(topic, description, standing)]
        })
        items.push(...(await Promise.all(found)).flat())
      }
      return { items, nextCursor: behind.length > limit && last !== undefined ? cursorOf(last) : null }
    },
    async put(request, requestedBy) {
      const { topic } = request
      const options = optionsOf(request, taskQueue, requestedBy)
      try {
        const scheduleId = checkpointScheduleId(taskQueue, topic)
        await bounded(topic, () => client.schedule.create({ scheduleId, ...options }))
        // The first look now, and not beside the next one, as with `triggerImmediately`.
        await bounded(topic, () => handleOf(topic).trigger('SKIP'))
      } catch (error) {
        if (!(error instanceof ScheduleAlreadyRunning)) throw error
        await bounded(topic, () => handleOf(topic).update(({ state }) => ({ ...options, state })))
      }
      return await get(topic)
    },
    async remove(topic) {
      await describe(topic)
      await bounded(topic, () => handleOf(topic).delete())
    },
  }
}

/** A look that was missed is made up for until the next one is due, but for a minute at least and a day at most. */
const catchupMs = (periodMs: number): number => Math.min(Math.max(periodMs, MIN_CATCHUP_MS), MAX_CATCHUP_MS)

function optionsOf(request: CheckpointScheduleRequest, taskQueue: string, requestedBy: string) {
  const periodMs = lookPeriod(request) * 1_000
  return {
    spec: { intervals: [{ every: periodMs }] },
    policies: { overlap: 'SKIP', catchupWindow: catchupMs(periodMs), pauseOnFailure: false },
    action: {
      type: 'startWorkflow',
      workflowType: 'scheduledCheckpoint',
      workflowId: `checkpoint-schedule/${taskQueue}/${request.topic}`,
      args: [request],
      taskQueue,
      memo: { requestedBy: `schedule of ${requestedBy}`.slice(0, 200) },
      workflowTaskTimeout: '5 s',
      staticSummary: `Checkpoint of ${request.topic} ${nameOfSettings(request)}`,
    },
  } satisfies Omit<ScheduleOptions, 'scheduleId'>
}

function viewOf(
  topic: string,
  { action, info, state }: ScheduleDescription,
  { newest, uncovered }: CheckpointStanding,
): CheckpointScheduleView {
  const parsed = parseCheckpointSchedule(action.args?.[0])
  const [next] = info.nextActionTimes
  return {
    ...(parsed.ok
      ? { ...parsed.value, lookEverySeconds: lookPeriod(parsed.value) }
      : {
          topic,
          broken: 'it was changed with other tools into what it cannot be: put it again, or delete it',
        }),
    paused: state.paused,
    ...(next !== undefined && !state.paused && { nextRunAt: next.toISOString() }),
    ...(newest !== null && {
      newestCheckpoint: { id: newest.id, createdAt: newest.createdAt.toISOString() },
    }),
    uncovered: String(uncovered),
  }
}

/** All of this installation, in order. */
async function scheduledTopics(client: Client, taskQueue: string): Promise<readonly string[]> {
  const prefix = idPrefix(taskQueue)
  const topics: string[] = []
  for await (const { scheduleId } of client.schedule.list()) {
    const topic = scheduleId.slice(prefix.length)
    if (scheduleId.startsWith(prefix) && topicName.safeParse(topic).success) topics.push(topic)
  }
  return topics.sort()
}

function absent(error: unknown): null {
  if (error instanceof ServiceError && error.code === 'SCHEDULE_NOT_FOUND') return null
  throw error
}

const cursorOf = (topic: string): string => Buffer.from(topic, 'latin1').toString('base64url')

function topicOf(cursor: string): string {
  const topic = Buffer.from(cursor, 'base64url').toString('latin1')
  if (cursorOf(topic) === cursor && topicName.safeParse(topic).success) return topic
  const message = 'must be the nextCursor of an earlier answer'
  throw new ServiceError('BAD_REQUEST', `cursor ${message}`, { fields: [{ path: 'cursor', message }] })
}
