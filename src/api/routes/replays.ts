import { randomUUID } from 'node:crypto'
import type { Express } from 'express'
import { z } from 'zod'
import { parseRecoveryRequest, type RecoveryRequest } from '../../domain/recoveryRequest.ts'
import { type ReplayRequest, type ReplayStatus, replayStatuses } from '../../domain/replay.ts'
import { isReplayId } from '../../domain/replayId.ts'
import { parseReplayRequest } from '../../domain/replayRequest.ts'
import { hasEnded, type ReplayView } from '../../domain/replayView.ts'
import { parseWith } from '../../domain/requestFields.ts'
import { ServiceError } from '../../errors.ts'
import { type Action, handleAction } from '../actions.ts'
import { within } from '../deadline.ts'
import { cursorField, emptyBody, limitField, readPathPart, readQuery, refuseQuery } from '../queryFields.ts'
import { otherMethods, routed } from '../respond.ts'
import { type ApiDependencies, methodNotAllowed, readTimeoutMs } from '../routing.ts'

const replayIdRule = 'a replay id has 1 to 200 letters, digits, ".", "-", "_" and ":"'
const replayId = z.string().refine(isReplayId, { error: replayIdRule })

interface ReplaysQuery {
  readonly limit: number
  readonly cursor?: string
  readonly status?: ReplayStatus
}
const replaysQuery = z.strictObject({
  limit: limitField,
  cursor: cursorField.optional(),
  status: z.enum(replayStatuses).optional(),
}) as z.ZodType<ReplaysQuery>

export function addReplayRoutes(app: Express, { operations, queries }: ApiDependencies): void {
  app
    .route('/replay')
    .all(routed('/replay'))
    .post(handleAction(queries, startAction(operations)))
    .all(otherMethods(['POST'], methodNotAllowed))

  app
    .route('/replays')
    .all(routed('/replays'))
    .get(async (req, res) => {
      const query = readQuery(replaysQuery, req)
      res.json(await within(readTimeoutMs, () => operations.listReplays(query)))
    })
    .all(otherMethods(['GET'], methodNotAllowed))

  app
    .route('/replay/:id')
    .all(routed('/replay/:id'))
    .get(async (req, res) => {
      refuseQuery(req)
      const id = readPathPart(replayId, req, 'id')
      res.json(await within(readTimeoutMs, () => operations.getReplay(id)))
    })
    .all(otherMethods(['GET'], methodNotAllowed))

  const controls = {
    cancel: (id: string, by: string) => operations.cancelReplay(id, by),
    pause: (id: string, by: string) => operations.pauseReplay(id, by),
    resume: (id: string, by: string) => operations.resumeReplay(id, by),
  }
  for (const [verb, run] of Object.entries(controls)) {
    app
      .route(`/replay/:id/${verb}`)
      .all(routed(`/replay/:id/${verb}`))
      .post(handleAction(queries, controlAction(operations, verb, run)))
      .all(otherMethods(['POST'], methodNotAllowed))
  }

  app
    .route('/replay/:id/recover-cursor')
    .all(routed('/replay/:id/recover-cursor'))
    .post(handleAction(queries, recoverAction(operations)))
    .all(otherMethods(['POST'], methodNotAllowed))
}

interface RecoverInput {
  readonly replayId: string
  readonly recovery: RecoveryRequest
}

/** A replay that failed with CURSOR_LOST goes on; the body may be empty. */
function recoverAction(operations: ApiDependencies['operations']): Action<RecoverInput, ReplayView> {
  return {
    name: 'replay.recover-cursor',
    parse: (body, req) => {
      refuseQuery(req)
      const id = readPathPart(replayId, req, 'id')
      const parsed = parseRecoveryRequest(body)
      return parsed.ok ? { ok: true, value: { replayId: id, recovery: parsed.value } } : parsed
    },
    target: (input) => input.replayId,
    record: ({ recovery }) => recovery,
    check: (input) => operations.checkRecovery(input.replayId),
    run: (input, requestedBy) => operations.recoverCursor(input.replayId, input.recovery, requestedBy),
    answer: (replay, res) => {
      res.status(202).json(replay)
    },
  }
}

interface StartInput {
  readonly replayId: string
  readonly request: ReplayRequest
}

/**
 * `X-Replay-Id` names the replay, so that a caller who got no answer can ask again: the same id with the same request
 * is the same replay. Without it the replay gets a random id.
 */
function startAction(operations: ApiDependencies['operations']): Action<StartInput, ReplayView> {
  return {
    name: 'replay.start',
    parse: (body, req) => {
      refuseQuery(req)
      const replayId = req.headers['x-replay-id'] ?? randomUUID()
      const parsed = parseReplayRequest(body)
      const problems = parsed.ok ? [] : [...parsed.problems]
      if (typeof replayId !== 'string' || !isReplayId(replayId))
        return { ok: false, problems: [...problems, { path: 'X-Replay-Id', message: replayIdRule }] }
      return parsed.ok ? { ok: true, value: { replayId, request: parsed.value } } : { ok: false, problems }
    },
    target: ({ request }) => request.topic,
    record: ({ replayId, request }) => ({ replayId, ...request }),
    check: ({ request }) => operations.checkReplay(request),
    run: ({ replayId, request }, requestedBy) => operations.startReplay(request, requestedBy, replayId),
    answer: (replay, res) => {
      res
        .status(202)
        .location(`/replay/${encodeURIComponent(replay.replayId)}`)
        .json(replay)
    },
  }
}

/** Cancel, pause or resume; the body is empty or `{}`. */
function controlAction(
  operations: ApiDependencies['operations'],
  verb: string,
  run: (id: string, requestedBy: string) => Promise<ReplayView>,
): Action<string, ReplayView> {
  return {
    name: `replay.${verb}`,
    parse: (body, req) => {
      refuseQuery(req)
      const id = readPathPart(replayId, req, 'id')
      const parsed = parseWith(emptyBody, body)
      return parsed.ok ? { ok: true, value: id } : parsed
    },
    target: (id) => id,
    record: () => null,
    check: async (id) => {
      const { status } = await operations.getReplay(id)
      if (hasEnded(status)) throw new ServiceError('REPLAY_ENDED', `The replay ${id} is ${status}`)
    },
    run,
    answer: (replay, res) => {
      res.status(verb === 'cancel' ? 202 : 200).json(replay)
    },
  }
}
