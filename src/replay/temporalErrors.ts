import {
  isGrpcServiceError,
  WorkflowFailedError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client'
import { ApplicationFailure, CancelledFailure, TimeoutFailure } from '@temporalio/common'
import { type FieldProblem, isErrorCode, ServiceError } from '../errors.ts'

/** gRPC's numbers: cancelled, deadline exceeded, resource exhausted, unavailable. */
const passing = new Set([1, 4, 8, 14])

/** Whatever a Temporal client throws, as one of our codes; texts of other makers are left out. */
export function fromTemporal(error: unknown): ServiceError {
  if (error instanceof ServiceError) return error
  if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError) return unanswered(error)
  if (error instanceof WorkflowFailedError || error instanceof WorkflowUpdateFailedError)
    return fromFailure(error.cause)
  const grpc = grpcCodeOf(error)
  if (grpc !== null && passing.has(grpc))
    return new ServiceError('TEMPORAL_UNAVAILABLE', 'Temporal does not answer; try again later', {
      cause: error,
    })
  if (grpc !== null)
    return new ServiceError('TEMPORAL_UNAVAILABLE', `Temporal refuses the call (gRPC status ${grpc})`, {
      cause: error,
    })
  return new ServiceError('INTERNAL', 'the call to Temporal failed', { cause: error })
}

function unanswered(cause: unknown): ServiceError {
  return new ServiceError('TIMEOUT', 'no worker took it up in time; is one running?', { cause })
}

/** Our workflows and activities fail with a code as the type and the fields as the first detail. */
export function fromFailure(failure: unknown): ServiceError {
  let cause = failure
  for (let depth = 0; depth < 10 && cause instanceof Error; depth++) {
    if (cause instanceof ApplicationFailure && isErrorCode(cause.type))
      return new ServiceError(cause.type, cause.message, { fields: fieldsOf(cause.details?.[0]) })
    if (cause instanceof CancelledFailure) return new ServiceError('CANCELLED', 'it was cancelled')
    if (cause instanceof TimeoutFailure) return unanswered(failure)
    cause = cause.cause
  }
  return new ServiceError('INTERNAL', 'the workflow failed', { cause: failure })
}

function fieldsOf(details: unknown): readonly FieldProblem[] {
  if (!Array.isArray(details)) return []
  return details.flatMap((entry: unknown) => {
    if (typeof entry !== 'object' || entry === null) return []
    const { path, message } = entry as Record<string, unknown>
    return typeof path === 'string' && typeof message === 'string' ? [{ path, message }] : []
  })
}

function grpcCodeOf(error: unknown): number | null {
  let cause = error
  for (let depth = 0; depth < 5 && cause instanceof Error; depth++) {
    if (isGrpcServiceError(cause)) return cause.code
    cause = cause.cause
  }
  return null
}
