import type { Express } from 'express'
import { z } from 'zod'
import { classifications, deadLetterCodes } from '../../domain/model.ts'
import { topicName, uuidText } from '../../domain/requestFields.ts'
import { ServiceError } from '../../errors.ts'
import type { DeadLetterQuery, EventQuery, StoredEvent } from '../../ports.ts'
import { within } from '../deadline.ts'
import { presentDeadLetter, presentStoredEvent } from '../present.ts'
import { problemOf } from '../problem.ts'
import {
  cursorField,
  limitField,
  offsetField,
  partitionField,
  readPathPart,
  readQuery,
  textField,
} from '../queryFields.ts'
import { contextOf } from '../requestContext.ts'
import { otherMethods, routed, sendProblem } from '../respond.ts'
import { type ApiDependencies, methodNotAllowed, readTimeoutMs } from '../routing.ts'

const place = { topic: topicName.optional(), partition: partitionField.optional() }
const page = { limit: limitField, cursor: cursorField.optional() }

const eventsQuery = z.strictObject({
  ...place,
  ...page,
  type: textField.optional(),
  source: textField.optional(),
  tenantId: textField.optional(),
  classification: z.enum(classifications).optional(),
  fromOffset: offsetField.optional(),
  toOffset: offsetField.optional(),
}) as unknown as z.ZodType<EventQuery>

const placeQuery = z.strictObject(place) as z.ZodType<{ topic?: string; partition?: number }>

const deadLettersQuery = z.strictObject({
  ...place,
  ...page,
  code: z.enum(deadLetterCodes).optional(),
}) as z.ZodType<DeadLetterQuery>

export function addEventRoutes(app: Express, { queries }: ApiDependencies): void {
  app
    .route('/events')
    .all(routed('/events'))
    .get(async (req, res) => {
      const query = readQuery(eventsQuery, req)
      const { items, nextCursor } = await within(readTimeoutMs, () => queries.findEvents(query))
      res.json({ items: items.map(presentStoredEvent), nextCursor })
    })
    .all(otherMethods(['GET'], methodNotAllowed))

  app
    .route('/events/:id')
    .all(routed('/events/:id'))
    .get(async (req, res) => {
      const where = readQuery(placeQuery, req)
      const id = readPathPart(uuidText, req, 'id')
      const found = await within(readTimeoutMs, () => queries.findEventsById(id, where))
      const [event] = found
      if (event === undefined) throw new ServiceError('EVENT_NOT_FOUND', `No log holds an event ${id}`)
      if (found.length === 1) res.json(presentStoredEvent(event))
      else sendProblem(req, res, ambiguous(found, req.path, contextOf(req).requestId))
    })
    .all(otherMethods(['GET'], methodNotAllowed))

  app
    .route('/dead-letters')
    .all(routed('/dead-letters'))
    .get(async (req, res) => {
      const query = readQuery(deadLettersQuery, req)
      const { items, nextCursor } = await within(readTimeoutMs, () => queries.findDeadLetters(query))
      res.json({ items: items.map(presentDeadLetter), nextCursor })
    })
    .all(otherMethods(['GET'], methodNotAllowed))
}

/** Which event is meant, the caller must say; `candidates` holds what can be said. */
function ambiguous(found: readonly StoredEvent[], path: string, requestId: string) {
  const detail = `${found.length} logs hold this id: choose one with topic and partition`
  const candidates = found.map(({ topic, partition, offset }) => ({
    topic,
    partition,
    offset: offset.toString(),
  }))
  return { ...problemOf({ code: 'EVENT_AMBIGUOUS', detail, fields: [] }, path, requestId), candidates }
}
