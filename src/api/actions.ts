import type { Request, RequestHandler, Response } from 'express'
import type { FieldProblem } from '../errors.ts'
import { ServiceError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import type { OperatorAction } from '../ports.ts'
import { readJsonBody } from './body.ts'
import { within } from './deadline.ts'
import { badRequest, type Refusal } from './problem.ts'
import { contextOf } from './requestContext.ts'

export interface ActionRecorder {
  recordAction(action: OperatorAction): Promise<void>
}

const recordTimeoutMs = 5_000
const checkTimeoutMs = 15_000
/** A checkpoint is a workflow that the caller waits for. */
const runTimeoutMs = 60_000

export type ParsedInput<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problems: readonly FieldProblem[] }

/** One thing that operators can ask for. */
export interface Action<Input, Result> {
  /** In the record: `replay.start`. */
  readonly name: string
  parse(body: unknown, req: Request): ParsedInput<Input>
  /** What it is done to, for the record. */
  target(input: Input): string
  /** What is recorded beside it. */
  record(input: Input): unknown
  /** Refuses what would fail; changes nothing. */
  check(input: Input): Promise<void>
  run(input: Input, requestedBy: string): Promise<Result>
  answer(result: Result, res: Response): void
}

/**
 * Reads, checks, records, does. The record comes before the deed: an action that cannot be recorded is not done. An
 * action that fails after it was recorded as accepted gets a second record with the code of the failure.
 */
export function handleAction<Input, Result>(
  recorder: ActionRecorder,
  action: Action<Input, Result>,
): RequestHandler {
  return async (req, res) => {
    const context = contextOf(req)
    context.action.name = action.name
    const parsed = action.parse(await readJsonBody(req), req)
    if (!parsed.ok) throw badRequest(parsed.problems)
    const input = parsed.value
    context.action.target = action.target(input)
    await within(checkTimeoutMs, () => action.check(input))
    await recordAccepted(recorder, req, action.record(input))
    action.answer(await within(runTimeoutMs, () => action.run(input, context.actor)), res)
  }
}

async function recordAccepted(recorder: ActionRecorder, req: Request, detail: unknown): Promise<void> {
  try {
    await within(recordTimeoutMs, () => recorder.recordAction(recordOf(req, 'accepted', detail)))
  } catch (cause) {
    const detail = 'The action could not be recorded, so it was not carried out; try again later'
    throw new ServiceError('DATABASE_UNAVAILABLE', detail, { cause })
  }
}

/** Records that an action was refused or failed. Never rejects: the answer is a refusal either way. */
export async function recordRefused(
  recorder: ActionRecorder,
  log: Logger,
  req: Request,
  refusal: Refusal,
): Promise<void> {
  try {
    const { code, detail, fields } = refusal
    const record = recordOf(req, code, fields.length > 0 ? { detail, errors: fields } : { detail })
    await within(recordTimeoutMs, () => recorder.recordAction(record))
  } catch (error) {
    const { requestId, actor, action } = contextOf(req)
    log.error('a refused action could not be recorded', {
      requestId,
      actor,
      action: action.name,
      code: refusal.code,
      error,
    })
  }
}

function recordOf(req: Request, outcome: string, detail: unknown): OperatorAction {
  const { requestId, actor, action } = contextOf(req)
  return { actor, action: action.name, target: action.target, outcome, requestId, detail }
}
