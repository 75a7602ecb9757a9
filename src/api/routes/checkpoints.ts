import type { Express } from 'express'
import { z } from 'zod'
import { type CheckpointRequest, parseCheckpointRequest } from '../../domain/checkpointRequest.ts'
import { formatKeyList } from '../../domain/evidence/keyPeriods.ts'
import { topicName, uuidText } from '../../domain/requestFields.ts'
import { ServiceError } from '../../errors.ts'
import type { Checkpoint } from '../../ports.ts'
import { type Action, handleAction } from '../actions.ts'
import { within } from '../deadline.ts'
import type { ApiQueries, CheckpointView } from '../operations.ts'
import { presentCheckpoint } from '../present.ts'
import { partitionField, readPathPart, readQuery, refuseQuery } from '../queryFields.ts'
import { otherMethods, routed } from '../respond.ts'
import { type ApiDependencies, methodNotAllowed, readTimeoutMs } from '../routing.ts'

const latestQuery = z.strictObject({
  topic: topicName.optional(),
  partition: partitionField.optional(),
}) as z.ZodType<{ topic?: string; partition?: number }>

const noteQuery = z.strictObject({ partition: partitionField.optional() }) as z.ZodType<{
  partition?: number
}>

export function addCheckpointRoutes(app: Express, deps: ApiDependencies): void {
  const { operations, queries } = deps
  addConsistencyRoute(app, deps)
  app
    .route('/checkpoint')
    .all(routed('/checkpoint'))
    .post(handleAction(queries, createAction(operations)))
    .all(otherMethods(['POST'], methodNotAllowed))

  app
    .route('/checkpoint/:id')
    .all(routed('/checkpoint/:id'))
    .get(async (req, res) => {
      refuseQuery(req)
      const id = readPathPart(uuidText, req, 'id')
      const checkpoint = await within(readTimeoutMs, () => queries.getCheckpoint(id))
      if (checkpoint === null) throw new ServiceError('CHECKPOINT_NOT_FOUND', `There is no checkpoint ${id}`)
      res.json(await withNotes(queries, checkpoint))
    })
    .all(otherMethods(['GET'], methodNotAllowed))

  app
    .route('/checkpoint/:id/note')
    .all(routed('/checkpoint/:id/note'))
    .get(async (req, res) => {
      const { partition } = readQuery(noteQuery, req)
      const id = readPathPart(uuidText, req, 'id')
      const note = await within(readTimeoutMs, () => operations.checkpointNote(id, partition))
      res.type('text/plain').send(note)
    })
    .all(otherMethods(['GET'], methodNotAllowed))

  app
    .route('/keys')
    .all(routed('/keys'))
    .get(async (req, res) => {
      refuseQuery(req)
      const { periods } = await within(readTimeoutMs, () => queries.keyState())
      res.type('text/plain').send(formatKeyList(periods))
    })
    .all(otherMethods(['GET'], methodNotAllowed))

  app
    .route('/checkpoints/latest')
    .all(routed('/checkpoints/latest'))
    .get(async (req, res) => {
      const where = readQuery(latestQuery, req)
      const checkpoint = await within(readTimeoutMs, () => queries.latestCheckpoint(where))
      if (checkpoint === null) throw new ServiceError('CHECKPOINT_NOT_FOUND', noneYet(where))
      res.json(await withNotes(queries, checkpoint))
    })
    .all(otherMethods(['GET'], methodNotAllowed))
}

async function withNotes(queries: ApiQueries, checkpoint: Checkpoint): Promise<CheckpointView> {
  const { id } = checkpoint
  const read = () => Promise.all([queries.placedNotes(id), queries.unplacedNotes(id)])
  const [placed, unplaced] = await within(readTimeoutMs, read)
  return presentCheckpoint(checkpoint, placed, unplaced)
}

const consistencyQuery = z.strictObject({
  from: uuidText,
  to: uuidText,
  partition: partitionField.optional(),
}) as z.ZodType<{ from: string; to: string; partition?: number }>

function addConsistencyRoute(app: Express, { operations }: ApiDependencies): void {
  app
    .route('/checkpoints/consistency')
    .all(routed('/checkpoints/consistency'))
    .get(async (req, res) => {
      const query = readQuery(consistencyQuery, req)
      const proof = await within(readTimeoutMs, () => operations.consistencyProof(query))
      res.type('text/plain').send(proof)
    })
    .all(otherMethods(['GET'], methodNotAllowed))
}

function createAction(operations: ApiDependencies['operations']): Action<CheckpointRequest, CheckpointView> {
  return {
    name: 'checkpoint.create',
    parse: (body, req) => {
      refuseQuery(req)
      return parseCheckpointRequest(body)
    },
    target: ({ topic, partition }) => (partition === undefined ? topic : `${topic}/${partition}`),
    record: (request) => request,
    check: (request) => operations.checkCheckpoint(request),
    run: (request, requestedBy) => operations.createCheckpoint(request, requestedBy),
    answer: (checkpoint, res) => {
      res.status(201).location(`/checkpoint/${checkpoint.id}`).json(checkpoint)
    },
  }
}

function noneYet({ topic, partition }: { topic?: string; partition?: number }): string {
  const ofTopic = topic === undefined ? '' : ` of topic ${topic}`
  const ofPartition = partition === undefined ? '' : ` of partition ${partition}`
  return `There is no checkpoint${ofPartition}${ofTopic} yet`
}
