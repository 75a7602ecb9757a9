import type { AcceptedEvent, LogEntry, RecordEntry } from '../domain/model.ts'
import type { AppendRequest, PreparedAppend } from '../ports.ts'
import type { ChunkPool } from './chunks.ts'
import { CopyRows } from './copyRows.ts'
import { encodeDeadLetter } from './deadLetterRows.ts'
import type { Candidate } from './duplicates.ts'
import { EventRowEncoder, writeUuid } from './eventRows.ts'
import { IdArray } from './probe.ts'

/** A batch encoded for COPY, with what the transaction needs to know about it. */
export class EncodedAppend implements PreparedAppend {
  readonly request: AppendRequest
  readonly events: CopyRows
  readonly deadLetters: CopyRows
  /** Entry number of each event row. */
  readonly eventEntries: number[] = []
  readonly ids: IdArray
  /** True when one id occurs twice among the events. */
  repeatsAnId = false
  /** Key, value and header bytes up to and with each entry. */
  readonly bytesAfter: Float64Array

  constructor(request: AppendRequest, pool: ChunkPool) {
    this.request = request
    this.events = new CopyRows(pool)
    this.deadLetters = new CopyRows(pool)
    this.ids = new IdArray(request.entries.length)
    this.bytesAfter = new Float64Array(request.entries.length)
  }

  get bytes(): number {
    return this.events.length + this.deadLetters.length
  }

  event(row: number): { readonly entry: RecordEntry; readonly event: AcceptedEvent; readonly index: number } {
    const index = this.eventEntries[row] ?? -1
    const entry = this.request.entries[index]
    if (entry?.kind !== 'record' || entry.decoded.kind !== 'event')
      throw new RangeError(`row ${row} is no event`)
    return { entry, event: entry.decoded, index }
  }

  *candidates(): Generator<Candidate> {
    for (let row = 0; row < this.eventEntries.length; row++) {
      const { entry, event } = this.event(row)
      const offset = entry.records.offsets[entry.index] as bigint
      yield { row, id: event.id, offset, contentHash: event.contentHash }
    }
  }
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Encodes a request; after each chunk other work gets its turn. */
export async function encodeAppend(request: AppendRequest, pool: ChunkPool): Promise<EncodedAppend> {
  checkRequest(request)
  const prepared = new EncodedAppend(request, pool)
  const encoder = new EventRowEncoder(prepared.events, request.logId)
  const { events, deadLetters, eventEntries, ids, bytesAfter } = prepared
  const idBytes = ids.bytes
  const seen = new Set<string>()
  const { entries } = request
  const firstLeaf = Number(request.expected.size)
  let chunks = 2
  let bytes = 0
  for (let index = 0; index < entries.length; index++) {
    const entry = entries[index] as LogEntry
    bytes += entryBytes(entry)
    bytesAfter[index] = bytes
    if (entry.kind === 'record' && entry.decoded.kind === 'event') {
      const event = entry.decoded
      const row = eventEntries.length
      const idAt = ids.idAt(row)
      ids.setLength(row)
      writeUuid(event.id, idBytes, idAt)
      encoder.encode(entry, event, firstLeaf + index, idBytes, idAt)
      eventEntries.push(index)
      seen.add(event.id)
    } else if (entry.kind !== 'gap') {
      encodeDeadLetter(deadLetters, request.logId, entry, BigInt(firstLeaf + index), reasonOf(entry))
    }
    if (events.chunks.length + deadLetters.chunks.length !== chunks) {
      chunks = events.chunks.length + deadLetters.chunks.length
      await nextTurn()
    }
  }
  prepared.repeatsAnId = seen.size !== eventEntries.length
  return prepared
}

function checkRequest({ expected, next, entries }: AppendRequest): void {
  if (next.size - expected.size !== BigInt(entries.length))
    throw new RangeError(`${entries.length} entries do not lead from size ${expected.size} to ${next.size}`)
  if (next.nextOffset < expected.nextOffset) throw new RangeError('an append never goes back')
}

export function reasonOf(entry: Exclude<LogEntry, { kind: 'gap' }>) {
  if (entry.kind === 'undecodable')
    return { kind: 'rejected', code: 'UNDECODABLE_BATCH', detail: entry.batch.detail } as const
  if (entry.decoded.kind === 'event') throw new RangeError('an event is no dead letter')
  return entry.decoded
}

/** Key, value and header bytes of an entry: what a page of a replay is measured with. */
function entryBytes(entry: LogEntry): number {
  if (entry.kind === 'gap') return 0
  if (entry.kind === 'undecodable') return entry.batch.bytes.length
  const { records: r, index: i } = entry
  const key = (r.keyStarts[i] as number) < 0 ? 0 : (r.keyEnds[i] as number) - (r.keyStarts[i] as number)
  const value =
    (r.valueStarts[i] as number) < 0 ? 0 : (r.valueEnds[i] as number) - (r.valueStarts[i] as number)
  return key + value + (r.headerEnds[i] as number) - (r.headerStarts[i] as number)
}

/** Offset behind an entry. */
export function endOffsetOf(entry: LogEntry): bigint {
  switch (entry.kind) {
    case 'record':
      return (entry.records.offsets[entry.index] as bigint) + 1n
    case 'undecodable':
      return entry.batch.lastOffset + 1n
    case 'gap':
      return entry.to
    default:
      return entry satisfies never
  }
}
