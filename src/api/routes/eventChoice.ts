import type { Request, Response } from 'express'
import { uuidText } from '../../domain/requestFields.ts'
import { ServiceError } from '../../errors.ts'
import type { EventPlace, QueryStore, StoredEvent } from '../../ports.ts'
import { within } from '../deadline.ts'
import { problemOf } from '../problem.ts'
import { readPathPart } from '../queryFields.ts'
import { contextOf } from '../requestContext.ts'
import { sendProblem } from '../respond.ts'
import { readTimeoutMs } from '../routing.ts'

/**
 * The event that the path names by its id and the query by its place. When several are meant, the answer says how to
 * choose, and there is nothing more to do: null. Throws BAD_REQUEST, EVENT_NOT_FOUND.
 */
export async function chooseEvent(
  queries: Pick<QueryStore, 'findEventsById'>,
  where: EventPlace,
  req: Request,
  res: Response,
): Promise<StoredEvent | null> {
  const id = readPathPart(uuidText, req, 'id')
  const found = await within(readTimeoutMs, () => queries.findEventsById(id, where))
  const [event] = found
  if (event === undefined) throw new ServiceError('EVENT_NOT_FOUND', `No log holds an event ${id}`)
  if (found.length === 1) return event
  sendProblem(req, res, ambiguous(found, req.path, contextOf(req).requestId))
  return null
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
