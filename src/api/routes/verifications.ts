import type { Express, Response } from 'express'
import { z } from 'zod'
import { isReplayId } from '../../domain/replayId.ts'
import { parseWith, uuidText } from '../../domain/requestFields.ts'
import {
  nameOfRequest,
  parseVerificationRequest,
  type VerificationRequest,
} from '../../domain/verification/request.ts'
import {
  parseVerificationSchedule,
  type VerificationScheduleRequest,
  type VerificationScheduleView,
} from '../../domain/verification/schedule.ts'
import {
  type VerificationKind,
  type VerificationView,
  verificationEnded,
  verificationKinds,
} from '../../domain/verification/view.ts'
import { ServiceError } from '../../errors.ts'
import { type Action, handleAction } from '../actions.ts'
import { within } from '../deadline.ts'
import { cursorField, emptyBody, limitField, readPathPart, readQuery, refuseQuery } from '../queryFields.ts'
import { otherMethods, routed } from '../respond.ts'
import { type ApiDependencies, methodNotAllowed, readTimeoutMs } from '../routing.ts'

interface ListQuery {
  readonly limit: number
  readonly cursor?: string
  readonly kind?: VerificationKind
}
const listQuery = z.strictObject({
  limit: limitField,
  cursor: cursorField.optional(),
  kind: z.enum(verificationKinds).optional(),
}) as z.ZodType<ListQuery>

const replayId = z.string().refine(isReplayId, { error: 'is not a replay id' })
export function addVerificationRoutes(app: Express, { operations, queries }: ApiDependencies): void {
  app
    .route('/verifications')
    .all(routed('/verifications'))
    .get(async (req, res) => {
      const query = readQuery(listQuery, req)
      res.json(await within(readTimeoutMs, () => operations.listVerifications(query)))
    })
    .post(handleAction(queries, startAction(operations)))
    .all(otherMethods(['GET', 'POST'], methodNotAllowed))

  app
    .route('/verifications/:id')
    .all(routed('/verifications/:id'))
    .get(async (req, res) => {
      refuseQuery(req)
      const id = readPathPart(uuidText, req, 'id')
      res.json(await within(readTimeoutMs, () => operations.getVerification(id)))
    })
    .all(otherMethods(['GET'], methodNotAllowed))

  app
    .route('/verifications/:id/cancel')
    .all(routed('/verifications/:id/cancel'))
    .post(handleAction(queries, cancelAction(operations)))
    .all(otherMethods(['POST'], methodNotAllowed))

  app
    .route('/replay/:id/verify')
    .all(routed('/replay/:id/verify'))
    .post(handleAction(queries, verifyReplayAction(operations)))
    .all(otherMethods(['POST'], methodNotAllowed))

  app
    .route('/verification-schedule')
    .all(routed('/verification-schedule'))
    .get(async (req, res) => {
      refuseQuery(req)
      res.json(await within(readTimeoutMs, () => operations.verificationSchedule.get()))
    })
    .put(handleAction(queries, scheduleAction(operations)))
    .delete(handleAction(queries, unscheduleAction(operations)))
    .all(otherMethods(['GET', 'PUT', 'DELETE'], methodNotAllowed))
}

/** A replay that is over is compared with its target; the body is empty or `{}`. */
function verifyReplayAction(operations: Operations): Action<string, VerificationView> {
  return {
    name: 'replay.verify',
    parse: (body, req) => {
      refuseQuery(req)
      const id = readPathPart(replayId, req, 'id')
      const parsed = parseWith(emptyBody, body)
      return parsed.ok ? { ok: true, value: id } : parsed
    },
    target: (id) => id,
    record: () => null,
    check: (id) => operations.checkReplayVerification(id),
    run: (id, requestedBy) => operations.verifyReplay(id, requestedBy),
    answer: answerStarted,
  }
}

const answerStarted = (verification: VerificationView, res: Response): void => {
  res.status(202).location(`/verifications/${verification.id}`).json(verification)
}

type Operations = ApiDependencies['operations']

/** The body may be empty: then all logs are verified. */
function startAction(operations: Operations): Action<VerificationRequest, VerificationView> {
  return {
    name: 'verification.start',
    parse: (body, req) => {
      refuseQuery(req)
      return parseVerificationRequest(body)
    },
    target: nameOfRequest,
    record: (request) => request,
    check: (request) => operations.checkVerification(request),
    run: (request, requestedBy) => operations.startVerification(request, requestedBy),
    answer: answerStarted,
  }
}

function cancelAction(operations: Operations): Action<string, VerificationView> {
  return {
    name: 'verification.cancel',
    parse: (body, req) => {
      refuseQuery(req)
      const id = readPathPart(uuidText, req, 'id')
      const parsed = parseWith(emptyBody, body)
      return parsed.ok ? { ok: true, value: id } : parsed
    },
    target: (id) => id,
    record: () => null,
    check: async (id) => {
      const { status } = await operations.getVerification(id)
      if (verificationEnded(status))
        throw new ServiceError('VERIFICATION_ENDED', `The verification ${id} is over: ${status}`)
    },
    run: (id) => operations.cancelVerification(id),
    answer: (verification, res) => {
      res.status(202).json(verification)
    },
  }
}

function scheduleAction(
  operations: Operations,
): Action<VerificationScheduleRequest, VerificationScheduleView> {
  return {
    name: 'verification.schedule',
    parse: (body, req) => {
      refuseQuery(req)
      return parseVerificationSchedule(body)
    },
    target: nameOfRequest,
    record: (request) => request,
    check: (request) => operations.checkVerification(request),
    run: (request, requestedBy) => operations.verificationSchedule.put(request, requestedBy),
    answer: (schedule, res) => {
      res.json(schedule)
    },
  }
}

function unscheduleAction(operations: Operations): Action<null, void> {
  return {
    name: 'verification.unschedule',
    parse: (body, req) => {
      refuseQuery(req)
      const parsed = parseWith(emptyBody, body)
      return parsed.ok ? { ok: true, value: null } : parsed
    },
    target: () => 'schedule',
    record: () => null,
    check: async () => void (await operations.verificationSchedule.get()),
    run: () => operations.verificationSchedule.remove(),
    answer: (_nothing, res) => {
      res.status(204).end()
    },
  }
}
