/**
 * When checkpoints of a topic are made by themselves: the body of `PUT /checkpoint-schedules/:topic` and, with the topic, the
 * input of the workflow `scheduledCheckpoint`. Free of Node's modules, since workflows import it.
 */
import { z } from 'zod'
import { type Parsed, parseWith, topicName } from './requestFields.ts'

export interface CheckpointScheduleSettings {
  /** A checkpoint when the newest one is this old, whatever was logged. */
  readonly everySeconds?: number
  /** A checkpoint when this many records were logged that none covers; dead letters and gaps count, as they have leaves. */
  readonly everyEvents?: number
  /** How often it is looked whether so many were logged. */
  readonly lookEverySeconds?: number
}

export interface CheckpointScheduleRequest extends CheckpointScheduleSettings {
  readonly topic: string
}

export type DueReason = 'interval' | 'events'

/** What the workflow returns. Counts are decimal strings. */
export interface ScheduledCheckpointView {
  readonly topic: string
  /** Null when none was due. */
  readonly reason: DueReason | null
  /** Leaves that no checkpoint covered. */
  readonly uncovered: string
  /** The checkpoint that was made. */
  readonly checkpointId?: string
}

export interface CheckpointScheduleRun {
  /** When it was started. */
  readonly at: string
  /** `forgotten`: Temporal does not know its run any more. */
  readonly outcome: 'checkpoint' | 'not-due' | 'running' | 'failed' | 'cancelled' | 'forgotten'
  readonly checkpointId?: string
  readonly reason?: DueReason
  readonly error?: { readonly code: string; readonly detail: string }
}

export interface CheckpointScheduleView extends CheckpointScheduleRequest {
  /** Absent, like the other settings, when it is broken. */
  readonly lookEverySeconds?: number
  /** Why it makes no checkpoints: it was changed with other tools into what it cannot be. */
  readonly broken?: string
  /** With Temporal's own tools; nothing here does that. */
  readonly paused: boolean
  readonly nextRunAt?: string
  /** The newest checkpoint of the whole topic at its head, whoever made it. */
  readonly newestCheckpoint?: { readonly id: string; readonly createdAt: string }
  /** Leaves that no checkpoint covers. */
  readonly uncovered: string
  /** The newest first, looks at which none was due among them; absent in lists. */
  readonly lastRuns?: readonly CheckpointScheduleRun[]
}

/** Each is a checkpoint: rows in the database and a note, for ever. */
const MIN_SECONDS = 5
/** A year. */
const MAX_SECONDS = 31_536_000
const MAX_EVENTS = 1_000_000_000_000
const MAX_LOOK_SECONDS = 3_600
const DEFAULT_LOOK_SECONDS = 15

const settings = {
  everySeconds: z.int().min(MIN_SECONDS).max(MAX_SECONDS).optional(),
  everyEvents: z.int().min(1).max(MAX_EVENTS).optional(),
  lookEverySeconds: z.int().min(1).max(MAX_LOOK_SECONDS).optional(),
}

const checked = <Shape extends z.ZodType<CheckpointScheduleSettings>>(shape: Shape) =>
  shape
    .refine(({ everySeconds, everyEvents }) => everySeconds !== undefined || everyEvents !== undefined, {
      path: ['everySeconds'],
      message: 'is needed, or everyEvents, or both',
    })
    .refine(
      ({ everyEvents, lookEverySeconds }) => everyEvents !== undefined || lookEverySeconds === undefined,
      {
        path: ['lookEverySeconds'],
        message: 'is of use with everyEvents only',
      },
    )
    .refine(
      ({ everySeconds = MAX_SECONDS, lookEverySeconds }) =>
        lookEverySeconds === undefined || lookEverySeconds <= everySeconds,
      { path: ['lookEverySeconds'], message: 'must not be more than everySeconds' },
    )

const body = checked(z.strictObject(settings) as z.ZodType<CheckpointScheduleSettings>)
const input = checked(
  z.strictObject({ topic: topicName, ...settings }) as z.ZodType<CheckpointScheduleRequest>,
)

/** Checks the body of a request from outside. Every problem names its field; unknown fields are problems. */
export const parseCheckpointSettings = (given: unknown): Parsed<CheckpointScheduleSettings> =>
  parseWith(body, given)

/** The same with the topic among the fields. */
export const parseCheckpointSchedule = (given: unknown): Parsed<CheckpointScheduleRequest> =>
  parseWith(input as z.ZodType<CheckpointScheduleRequest>, given)

/** Seconds from one look to the next. Without a number of events, the interval itself is one. */
export function lookPeriod({
  everySeconds,
  everyEvents,
  lookEverySeconds,
}: CheckpointScheduleSettings): number {
  if (everyEvents === undefined && everySeconds !== undefined) return everySeconds
  return lookEverySeconds ?? Math.min(DEFAULT_LOOK_SECONDS, everySeconds ?? DEFAULT_LOOK_SECONDS)
}

/**
 * Whether a look finds that a checkpoint is due. The one look that is nearest to the end of the interval counts as its end:
 * looks come on time, but the checkpoint before was made some moments after its own. So looks that are made up for, and come
 * one right after the other, make one checkpoint.
 */
export function dueReason(
  settings: CheckpointScheduleSettings,
  { newestAgeMs, uncovered }: { readonly newestAgeMs: number | null; readonly uncovered: bigint },
): DueReason | null {
  const { everySeconds, everyEvents } = settings
  const enoughMs = everySeconds === undefined ? null : (everySeconds - lookPeriod(settings) / 2) * 1_000
  if (enoughMs !== null && (newestAgeMs === null || newestAgeMs >= enoughMs)) return 'interval'
  return everyEvents !== undefined && uncovered >= BigInt(everyEvents) ? 'events' : null
}

/** For people: `every 3,600 seconds or 10,000 events`. */
export function nameOfSettings({ everySeconds, everyEvents }: CheckpointScheduleSettings): string {
  const parts = [
    ...(everySeconds === undefined ? [] : [`${everySeconds} seconds`]),
    ...(everyEvents === undefined ? [] : [`${everyEvents} events`]),
  ]
  return `every ${parts.join(' or ')}`
}
