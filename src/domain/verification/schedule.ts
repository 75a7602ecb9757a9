/** When logs are verified by themselves: the body of `PUT /verification-schedule`. */
import { z } from 'zod'
import { type Parsed, parseWith } from '../requestFields.ts'
import { parseVerificationRequest, type VerificationRequest } from './request.ts'

export interface VerificationScheduleRequest extends VerificationRequest {
  readonly everyMinutes: number
}

export interface VerificationScheduleView extends VerificationScheduleRequest {
  readonly paused: boolean
  readonly lastRunAt?: string
  readonly nextRunAt?: string
}

/** A year. */
const MAX_MINUTES = 525_600

const interval = z.object({ everyMinutes: z.int().min(1).max(MAX_MINUTES) })

/** Checks a request from outside. Every problem names its field. */
export function parseVerificationSchedule(input: unknown): Parsed<VerificationScheduleRequest> {
  const { everyMinutes: _, ...rest } =
    typeof input === 'object' && input !== null ? { everyMinutes: 0, ...input } : {}
  const when = parseWith(interval as z.ZodType<{ everyMinutes: number }>, input)
  const what = parseVerificationRequest(rest)
  if (when.ok && what.ok) return { ok: true, value: { ...what.value, everyMinutes: when.value.everyMinutes } }
  return {
    ok: false,
    problems: [...(when.ok ? [] : when.problems), ...(what.ok ? [] : what.problems)],
  }
}
