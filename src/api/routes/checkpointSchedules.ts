import type { Express } from 'express'
import {
  type CheckpointScheduleRequest,
  type CheckpointScheduleView,
  parseCheckpointSettings,
} from '../../domain/checkpointSchedule.ts'
import { parseWith, topicName } from '../../domain/requestFields.ts'
import { type Action, handleAction } from '../actions.ts'
import { within } from '../deadline.ts'
import { emptyBody, pageQuery, readPathPart, readQuery, refuseQuery } from '../queryFields.ts'
import { otherMethods, routed } from '../respond.ts'
import { type ApiDependencies, methodNotAllowed, readTimeoutMs } from '../routing.ts'

type Schedules = ApiDependencies['operations']['checkpointSchedules']

export function addCheckpointScheduleRoutes(app: Express, { operations, queries }: ApiDependencies): void {
  const schedules = operations.checkpointSchedules
  app
    .route('/checkpoint-schedules')
    .all(routed('/checkpoint-schedules'))
    .get(async (req, res) => {
      const query = readQuery(pageQuery, req)
      res.json(await within(readTimeoutMs, () => schedules.list(query)))
    })
    .all(otherMethods(['GET'], methodNotAllowed))

  app
    .route('/checkpoint-schedules/:topic')
    .all(routed('/checkpoint-schedules/:topic'))
    .get(async (req, res) => {
      refuseQuery(req)
      const topic = readPathPart(topicName, req, 'topic')
      res.json(await within(readTimeoutMs, () => schedules.get(topic)))
    })
    .put(handleAction(queries, putAction(schedules)))
    .delete(handleAction(queries, removeAction(schedules)))
    .all(otherMethods(['GET', 'PUT', 'DELETE'], methodNotAllowed))
}

function putAction(schedules: Schedules): Action<CheckpointScheduleRequest, CheckpointScheduleView> {
  return {
    name: 'checkpoint.schedule',
    parse: (body, req) => {
      refuseQuery(req)
      const topic = readPathPart(topicName, req, 'topic')
      const parsed = parseCheckpointSettings(body)
      return parsed.ok ? { ok: true, value: { topic, ...parsed.value } } : parsed
    },
    target: ({ topic }) => topic,
    record: ({ topic: _, ...settings }) => settings,
    check: ({ topic }) => schedules.check(topic),
    run: (request, requestedBy) => schedules.put(request, requestedBy),
    answer: (schedule, res) => {
      res.json(schedule)
    },
  }
}

function removeAction(schedules: Schedules): Action<string, void> {
  return {
    name: 'checkpoint.unschedule',
    parse: (body, req) => {
      refuseQuery(req)
      const topic = readPathPart(topicName, req, 'topic')
      const parsed = parseWith(emptyBody, body)
      return parsed.ok ? { ok: true, value: topic } : parsed
    },
    target: (topic) => topic,
    record: () => null,
    check: (topic) => schedules.checkRemoval(topic),
    run: (topic) => schedules.remove(topic),
    answer: (_nothing, res) => {
      res.status(204).end()
    },
  }
}
