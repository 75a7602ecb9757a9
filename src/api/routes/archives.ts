import type { Express, Response } from 'express'
import { type HoldRequest, type HoldView, parseHoldRequest } from '../../domain/archive/hold.ts'
import { type ArchiveRequest, nameOfArchive, parseArchiveRequest } from '../../domain/archive/request.ts'
import { type ArchiveView, archiveEnded } from '../../domain/archive/view.ts'
import { parseWith, uuidText } from '../../domain/requestFields.ts'
import { ServiceError } from '../../errors.ts'
import { type Action, handleAction } from '../actions.ts'
import { within } from '../deadline.ts'
import { emptyBody, pageQuery, readPathPart, readQuery, refuseQuery } from '../queryFields.ts'
import { otherMethods, routed } from '../respond.ts'
import { type ApiDependencies, methodNotAllowed, readTimeoutMs } from '../routing.ts'

type Operations = ApiDependencies['operations']

export function addArchiveRoutes(app: Express, { operations, queries }: ApiDependencies): void {
  app
    .route('/archives')
    .all(routed('/archives'))
    .get(async (req, res) => {
      const query = readQuery(pageQuery, req)
      res.json(await within(readTimeoutMs, () => operations.listArchives(query)))
    })
    .post(handleAction(queries, startAction(operations)))
    .all(otherMethods(['GET', 'POST'], methodNotAllowed))

  app
    .route('/archives/:id')
    .all(routed('/archives/:id'))
    .get(async (req, res) => {
      refuseQuery(req)
      const id = readPathPart(uuidText, req, 'id')
      res.json(await within(readTimeoutMs, () => operations.getArchive(id)))
    })
    .all(otherMethods(['GET'], methodNotAllowed))

  app
    .route('/archives/:id/cancel')
    .all(routed('/archives/:id/cancel'))
    .post(handleAction(queries, cancelAction(operations)))
    .all(otherMethods(['POST'], methodNotAllowed))

  app
    .route('/legal-holds')
    .all(routed('/legal-holds'))
    .get(async (req, res) => {
      refuseQuery(req)
      const items = await within(readTimeoutMs, () => operations.listHolds())
      res.json({ items, nextCursor: null })
    })
    .post(handleAction(queries, holdAction(operations, true)))
    .all(otherMethods(['GET', 'POST'], methodNotAllowed))

  app
    .route('/legal-holds/lift')
    .all(routed('/legal-holds/lift'))
    .post(handleAction(queries, holdAction(operations, false)))
    .all(otherMethods(['POST'], methodNotAllowed))
}

function startAction(operations: Operations): Action<ArchiveRequest, ArchiveView> {
  return {
    name: 'archive.start',
    parse: (body, req) => {
      refuseQuery(req)
      return parseArchiveRequest(body)
    },
    target: nameOfArchive,
    record: (request) => request,
    check: (request) => operations.checkArchive(request),
    run: (request, requestedBy) => operations.startArchive(request, requestedBy),
    answer: (archive, res: Response) => {
      res.status(202).location(`/archives/${archive.id}`).json(archive)
    },
  }
}

function cancelAction(operations: Operations): Action<string, ArchiveView> {
  return {
    name: 'archive.cancel',
    parse: (body, req) => {
      refuseQuery(req)
      const id = readPathPart(uuidText, req, 'id')
      const parsed = parseWith(emptyBody, body)
      return parsed.ok ? { ok: true, value: id } : parsed
    },
    target: (id) => id,
    record: () => null,
    check: async (id) => {
      const { status } = await operations.getArchive(id)
      if (archiveEnded(status))
        throw new ServiceError('ARCHIVE_ENDED', `The archive ${id} is over: ${status}`)
    },
    run: (id) => operations.cancelArchive(id),
    answer: (archive, res) => {
      res.status(202).json(archive)
    },
  }
}

/** Set, or lifted; the reason is part of the record for ever. */
function holdAction(operations: Operations, held: boolean): Action<HoldRequest, HoldView> {
  return {
    name: held ? 'hold.set' : 'hold.lift',
    parse: (body, req) => {
      refuseQuery(req)
      return parseHoldRequest(body)
    },
    target: ({ scope, subject }) => `${scope} ${subject}`,
    record: (request) => request,
    check: async ({ scope, subject }) => {
      const known = (await operations.listHolds()).find(
        (hold) => hold.scope === scope && hold.subject === subject,
      )
      if ((known?.held ?? false) !== held) return
      throw new ServiceError(
        'HOLD_UNCHANGED',
        `The ${scope} ${subject} ${held ? 'is held already' : 'is not held'}`,
      )
    },
    run: (request, requestedBy) => operations.putHold(request, held, requestedBy),
    answer: (hold, res) => {
      res.status(201).json(hold)
    },
  }
}
