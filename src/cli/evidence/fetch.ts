/** Commands that ask a running service for evidence, and hand it on as it is: as a file, or on stdout. */
import { writeFile } from 'node:fs/promises'
import type { ApiClient } from '../apiClient.ts'
import { CliFailure } from '../failure.ts'
import type { Terminal } from '../terminal.ts'
import { badOutput } from './files.ts'

export interface FetchContext {
  readonly terminal: Terminal
  /** Called by the commands that need the service, and by no other. */
  readonly connect: () => ApiClient
}

export interface OutFlags {
  readonly out?: string
}

/** Which event is meant, as flags. */
export interface EventFlags extends OutFlags {
  readonly eventId: string
  readonly topic?: string
  readonly partition?: string
  readonly incarnation?: string
  readonly offset?: string
}

export interface InclusionFlags extends EventFlags {
  readonly checkpoint?: string
}

export interface ConsistencyFlags extends OutFlags {
  readonly from: string
  readonly to: string
  readonly partition?: string
}

export interface NoteFlags extends OutFlags {
  readonly checkpointId: string
  readonly partition?: string
}

export function fetchInclusion(flags: InclusionFlags, context: FetchContext): Promise<void> {
  const query = queryOf({ ...placeOf(flags), checkpoint: flags.checkpoint })
  return handOn(`/events/${pathPart(flags.eventId)}/proof${query}`, flags, context)
}

export const fetchRecord = (flags: EventFlags, context: FetchContext): Promise<void> =>
  handOn(`/events/${pathPart(flags.eventId)}/record${queryOf(placeOf(flags))}`, flags, context)

export function fetchConsistency(flags: ConsistencyFlags, context: FetchContext): Promise<void> {
  const { from, to, partition } = flags
  return handOn(`/checkpoints/consistency${queryOf({ from, to, partition })}`, flags, context)
}

export function fetchNote(flags: NoteFlags, context: FetchContext): Promise<void> {
  const query = queryOf({ partition: flags.partition })
  return handOn(`/checkpoint/${pathPart(flags.checkpointId)}/note${query}`, flags, context)
}

export const fetchKeys = (flags: OutFlags, context: FetchContext): Promise<void> =>
  handOn('/keys', flags, context)

/** The address of an event, which the place tells apart from others with its id. */
export const eventPath = (flags: Omit<EventFlags, 'out'>): string =>
  `/events/${pathPart(flags.eventId)}${queryOf(placeOf(flags))}`

const placeOf = ({ topic, partition, incarnation, offset }: EventFlags) => ({
  topic,
  partition,
  incarnation,
  offset,
})

const pathPart = encodeURIComponent

function queryOf(fields: Readonly<Record<string, string | undefined>>): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) query.set(name, value)
  return query.size === 0 ? '' : `?${query}`
}

/** Nothing of what is handed on may draw on a terminal; no evidence holds control characters but newlines. */
const isPlain = (text: string): boolean => !/[^\n\P{Cc}]/u.test(text)

async function handOn(path: string, { out }: OutFlags, { terminal, connect }: FetchContext): Promise<void> {
  const text = await connect().text(path)
  if (!isPlain(text))
    throw new CliFailure(1, 'UNREACHABLE', 'The answer holds control characters: it is no evidence')
  if (out === undefined) {
    terminal.result({ text })
    terminal.content(text)
    return
  }
  try {
    await writeFile(out, text)
  } catch (error) {
    throw badOutput(out, error)
  }
  terminal.line(`written to ${out}`)
  terminal.result({ file: out })
}
