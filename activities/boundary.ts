/** Between the activities and Temporal: heartbeats, cancellation, and failures that say no more than they may. */
import { ApplicationFailure, CancelledFailure, Context } from '@temporalio/activity'
import { isRetryable, ServiceError, withoutStack } from '../src/errors.ts'
import type { ActivityDependencies, ActivityScope } from './dependencies.ts'

const HEARTBEAT_MS = 1_000

/**
 * Runs an activity with a heartbeat every second; `draining` aborts its signal like a cancellation does. Failures
 * carry the code as their type and the text of a ServiceError; of anything else only that it happened, since kafkajs
 * puts whole messages into error texts.
 */
export async function runActivity<Result>(
  { logger }: Pick<ActivityDependencies, 'logger'>,
  draining: AbortSignal,
  work: (scope: ActivityScope) => Promise<Result>,
): Promise<Result> {
  const context = Context.current()
  const { activityType, attempt, workflowExecution } = context.info
  let details: Readonly<Record<string, unknown>> = {}
  const beat = setInterval(() => context.heartbeat(details), HEARTBEAT_MS)
  const scope: ActivityScope = {
    signal: AbortSignal.any([context.cancellationSignal, draining]),
    report: (latest) => {
      details = latest
    },
    reported: context.info.heartbeatDetails,
  }
  try {
    context.heartbeat(details)
    const result = await work(scope)
    // Paused by an operator with Temporal's own tools: a result would end the activity and begin the next one.
    if (context.cancellationDetails?.paused) throw new CancelledFailure('the activity was paused')
    return result
  } catch (error) {
    if (error instanceof CancelledFailure) throw error
    if (context.cancellationSignal.aborted) throw new CancelledFailure('the activity was cancelled')
    if (draining.aborted) throw ApplicationFailure.retryable('the worker stops', 'WORKER_STOPS')
    logger.warn('an activity failed', { activityType, attempt, ...workflowExecution, error })
    throw toFailure(error)
  } finally {
    clearInterval(beat)
  }
}

/** What Temporal is told: it keeps failures in histories and shows them, so no stack either. The log has both. */
export function toFailure(error: unknown): ApplicationFailure {
  return withoutStack(told(error))
}

function told(error: unknown): ApplicationFailure {
  if (!(error instanceof ServiceError))
    return ApplicationFailure.retryable(
      'something went wrong inside; the log of the worker says what',
      'INTERNAL',
    )
  return ApplicationFailure.create({
    message: error.message,
    type: error.code,
    nonRetryable: !isRetryable(error.code),
    ...(error.fields.length > 0 && { details: [error.fields] }),
  })
}
