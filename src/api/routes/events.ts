import type { Express } from 'express'
import { z } from 'zod'
import { classifications, deadLetterCodes } from '../../domain/model.ts'
import { topicName, uuidText } from '../../domain/requestFields.ts'
import type { DeadLetterQuery, EventPlace, EventQuery } from '../../ports.ts'
import { within } from '../deadline.ts'
import { presentDeadLetter, presentStoredEvent } from '../present.ts'
import {
  cursorField,
  incarnationField,
  limitField,
  offsetField,
  partitionField,
  readQuery,
  textField,
} from '../queryFields.ts'
import { otherMethods, routed } from '../respond.ts'
import { type ApiDependencies, methodNotAllowed, readTimeoutMs } from '../routing.ts'
import { chooseEvent } from './eventChoice.ts'

const place = {
  topic: topicName.optional(),
  partition: partitionField.optional(),
  incarnation: incarnationField.optional(),
}
const page = { limit: limitField, cursor: cursorField.optional() }

const eventsQuery = z
  .strictObject({
    ...place,
    ...page,
    type: textField.optional(),
    source: textField.optional(),
    tenantId: textField.optional(),
    classification: z.enum(classifications).optional(),
    fromOffset: offsetField.optional(),
    toOffset: offsetField.optional(),
  })
  // An empty list would say that the log holds nothing there.
  .refine(({ fromOffset = 0n, toOffset }) => toOffset === undefined || toOffset >= fromOffset, {
    path: ['toOffset'],
    error: 'must not be less than fromOffset',
  }) as unknown as z.ZodType<EventQuery>

const eventPlace = { ...place, offset: offsetField.optional() }
const placeQuery = z.strictObject(eventPlace) as unknown as z.ZodType<EventPlace>

const proofQuery = z.strictObject({
  ...eventPlace,
  checkpoint: uuidText.optional(),
}) as unknown as z.ZodType<EventPlace & { readonly checkpoint?: string }>

const deadLettersQuery = z.strictObject({
  ...place,
  ...page,
  code: z.enum(deadLetterCodes).optional(),
}) as z.ZodType<DeadLetterQuery>

export function addEventRoutes(app: Express, { operations, queries }: ApiDependencies): void {
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
      const event = await chooseEvent(queries, readQuery(placeQuery, req), req, res)
      if (event === null) return
      const custody = await within(readTimeoutMs, () => operations.eventCustody(event))
      res.json({ ...presentStoredEvent(event), custody })
    })
    .all(otherMethods(['GET'], methodNotAllowed))

  app
    .route('/events/:id/record')
    .all(routed('/events/:id/record'))
    .get(async (req, res) => {
      const event = await chooseEvent(queries, readQuery(placeQuery, req), req, res)
      if (event === null) return
      const record = await within(readTimeoutMs, () => operations.eventRecord(event))
      res.type('application/json').send(record)
    })
    .all(otherMethods(['GET'], methodNotAllowed))

  app
    .route('/events/:id/proof')
    .all(routed('/events/:id/proof'))
    .get(async (req, res) => {
      const { checkpoint, ...where } = readQuery(proofQuery, req)
      const event = await chooseEvent(queries, where, req, res)
      if (event === null) return
      const proof = await within(readTimeoutMs, () => operations.eventProof(event, checkpoint))
      res.type('text/plain').send(proof)
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
