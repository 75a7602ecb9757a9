import type { Express } from 'express'
import { z } from 'zod'
import { classifications, deadLetterCodes } from '../../domain/model.ts'
import { topicName, uuidText } from '../../domain/requestFields.ts'
import { ServiceError } from '../../errors.ts'
import type { DeadLetterQuery, EventPlace, EventQuery, StoredEvent } from '../../ports.ts'
import { within } from '../deadline.ts'
import { presentDeadLetter, presentStoredEvent } from '../present.ts'
import { problemOf } from '../problem.ts'
import {
  cursorField,
  incarnationField,
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

const place = {
  topic: topicName.optional(),
  partition: partitionField.optional(),
  incarnation: incarnationField.optional(),
}
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

const placeQuery = z.strictObject({
  ...place,
  offset: offsetField.optional(),
}) as unknown as z.ZodType<EventPlace>

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

const placeNames = ['topic', 'partition', 'incarnation', 'offset'] as const

/** Which event is meant, the caller must say: `detail` names what to add, `candidates` holds what can be said. */
function ambiguous(found: readonly StoredEvent[], path: string, requestId: string) {
  const candidates = found.map(({ topic, partition, incarnation, offset }) => ({
    topic,
    partition,
    incarnation,
    offset: offset.toString(),
  }))
  const detail = `${found.length} events have this id: choose one with ${distinguishing(candidates).join(' and ')}`
  return { ...problemOf({ code: 'EVENT_AMBIGUOUS', detail, fields: [] }, path, requestId), candidates }
}

type Candidate = Readonly<Record<(typeof placeNames)[number], string | number>>

/** Names that differ among the candidates, in their order, until they tell all of them apart. */
function distinguishing(candidates: readonly Candidate[]): readonly string[] {
  const names: (typeof placeNames)[number][] = []
  const told = () => new Set(candidates.map((each) => JSON.stringify(names.map((name) => each[name])))).size
  for (const name of placeNames) {
    if (told() === candidates.length) break
    if (new Set(candidates.map((each) => each[name])).size > 1) names.push(name)
  }
  return names
}
