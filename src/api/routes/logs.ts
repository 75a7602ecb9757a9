import type { Express } from 'express'
import { z } from 'zod'
import { type IncarnationRequest, parseIncarnationRequest } from '../../domain/incarnationRequest.ts'
import type { OpenedIncarnationsView } from '../../domain/logView.ts'
import { topicName } from '../../domain/requestFields.ts'
import type { LogQuery } from '../../ports.ts'
import { type Action, handleAction } from '../actions.ts'
import { within } from '../deadline.ts'
import { cursorField, limitField, partitionField, readQuery, refuseQuery } from '../queryFields.ts'
import { otherMethods, routed } from '../respond.ts'
import { type ApiDependencies, methodNotAllowed, readTimeoutMs } from '../routing.ts'

const logsQuery = z.strictObject({
  topic: topicName.optional(),
  partition: partitionField.optional(),
  limit: limitField,
  cursor: cursorField.optional(),
}) as z.ZodType<LogQuery>

export function addLogRoutes(app: Express, { operations, queries }: ApiDependencies): void {
  app
    .route('/logs')
    .all(routed('/logs'))
    .get(async (req, res) => {
      const query = readQuery(logsQuery, req)
      res.json(await within(readTimeoutMs, () => operations.listLogs(query)))
    })
    .all(otherMethods(['GET'], methodNotAllowed))

  app
    .route('/logs/open-incarnation')
    .all(routed('/logs/open-incarnation'))
    .post(handleAction(queries, openAction(operations)))
    .all(otherMethods(['POST'], methodNotAllowed))
}

function openAction(
  operations: ApiDependencies['operations'],
): Action<IncarnationRequest, OpenedIncarnationsView> {
  return {
    name: 'log.open-incarnation',
    parse: (body, req) => {
      refuseQuery(req)
      return parseIncarnationRequest(body)
    },
    target: ({ topic, partition }) => (partition === undefined ? topic : `${topic}/${partition}`),
    record: (request) => request,
    check: (request) => operations.checkIncarnation(request),
    run: (request) => operations.openIncarnation(request),
    answer: (result, res) => {
      res.status(201).json(result)
    },
  }
}
