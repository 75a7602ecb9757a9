/** The command that shows where an event came from and what happened to it. */
import type {
  Bounded,
  CustodyCause,
  CustodyCheckpoint,
  CustodyReplay,
  CustodySignature,
  CustodyView,
  DetachedDays,
  EventReference,
} from '../../domain/custody.ts'
import type { PresentedEvent } from '../../domain/presentEvent.ts'
import { formatCount } from '../format.ts'
import { type EventFlags, eventPath, type FetchContext } from './fetch.ts'

type EventWithCustody = PresentedEvent & { readonly custody: CustodyView }

/** The whole answer with `--json`, else a line for each thing that is known. */
export async function showCustody(flags: EventFlags, { terminal, connect }: FetchContext): Promise<void> {
  const event = (await connect().get(eventPath(flags))) as EventWithCustody
  terminal.result(event)
  for (const line of linesOf(event)) terminal.line(line)
}

function linesOf({ id, type, source, custody }: EventWithCustody): string[] {
  const { source: from, times, checkpoints } = custody
  const tags = custody.policyTags.length === 0 ? '' : `, tags ${custody.policyTags.join(', ')}`
  return [
    `event ${id}  ${plain(type)} from ${plain(source)}`,
    `  taken from ${placeOf(from)}, topic id ${from.topicId}: leaf ${from.leafIndex}`,
    `  times: event ${timeOf(times.event)}, Kafka ${timeOf(Number(times.kafka))}, log ${times.ingested}`,
    `  content ${custody.contentHash}`,
    `  leaf ${custody.leafHash}`,
    `  classification ${custody.classification}${plain(tags)}`,
    `  ${signatureLine(custody.signature)}`,
    ...custody.transformations.map(
      ({ operation, timestamp, userId }) =>
        `  transformed: ${plain(operation)} at ${timeOf(timestamp)}${userId === undefined ? '' : ` by ${plain(userId)}`}`,
    ),
    ...checkpointLines(checkpoints),
    ...section(custody.replays, 'no replay produced it', replayLine),
    ...section(custody.causes, 'names no cause', causeLine),
    ...section(custody.effects, 'no event names it as its cause', (effect) => [
      `caused ${referenceOf(effect)}`,
    ]),
    ...(custody.detached === undefined ? [] : [`  ${detachedLine(custody.detached)}`]),
  ]
}

const detachedLine = ({ days, first, last }: DetachedDays): string =>
  `causes and effects may also lie in ${days} detached days from ${first} to ${last}: only their archives know`

/** What producers wrote must not draw on a terminal. */
const plain = (text: string): string => text.replace(/\p{Cc}/gu, '\ufffd')

const placeOf = (place: Pick<EventReference, 'topic' | 'partition' | 'incarnation' | 'offset'>): string =>
  `${place.topic}/${place.partition} at offset ${place.offset}, incarnation ${place.incarnation}`

/** Milliseconds since 1970; whatever is no time that can be written stays a number. */
function timeOf(ms: number): string {
  if (ms === -1) return 'none'
  const time = new Date(ms)
  return Number.isNaN(time.getTime()) ? String(ms) : time.toISOString()
}

function signatureLine({ state, policy, keyId, detail }: CustodySignature): string {
  const asked = `the source's policy was ${policy}`
  if (state === 'none') return `not signed by its producer (${asked})`
  const worth = state === 'good' ? `good, of ${plain(keyId ?? '')}` : `bad: ${plain(detail ?? '')}`
  return `producer's signature is ${worth} (${asked})`
}

function checkpointLines({ first, newest }: CustodyView['checkpoints']): string[] {
  if (first === null || newest === null) return ['  no checkpoint covers it yet']
  if (first.id === newest.id) return [`  covered by the ${checkpointOf(first)}`]
  return [`  first covered by the ${checkpointOf(first)}`, `  and at last by the ${checkpointOf(newest)}`]
}

function checkpointOf({ id, createdAt, size, signedBy }: CustodyCheckpoint): string {
  const signed = signedBy.length === 0 ? 'not signed' : `signed by ${signedBy.join(' and ')}`
  return `checkpoint ${id} of ${createdAt}, ${formatCount(size)} leaves, ${signed}`
}

const replayLine = (replay: CustodyReplay): string[] => [
  `replayed to ${replay.targetTopic}/${replay.targetPartition} by ${replay.replayId} (${replay.status}, asked by ${plain(replay.requestedBy)}), between ${replay.plannedAt} and ${replay.producedBy}`,
]

function causeLine({ causationId, events }: CustodyCause): string[] {
  if (events.length === 0) return [`caused by ${plain(causationId)}, which no log holds`]
  return events.map((event) => `caused by ${referenceOf(event)}`)
}

const referenceOf = (event: EventReference): string => `${event.id}  ${plain(event.type)}, ${placeOf(event)}`

function section<Item>(
  { items, more }: Bounded<Item>,
  none: string,
  lines: (item: Item) => readonly string[],
): string[] {
  if (items.length === 0) return [`  ${none}`]
  return [...items.flatMap(lines), ...(more ? ['and more'] : [])].map((line) => `  ${line}`)
}
