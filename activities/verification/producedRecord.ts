/** A record of a target: whose it is, and whether it is the event that it says to be. */
import { dropHeaders, MalformedHeadersError, readHeaders } from '../../src/domain/headers.ts'
import { recordLeaf } from '../../src/domain/leaf.ts'
import type { Hash, SourceRecords } from '../../src/domain/model.ts'
import type { PlannedLogWork } from '../lane.ts'
import { replayHeaderNames } from '../replayHeaders.ts'
import type { Expected } from './plannedEvents.ts'

const addedNames: ReadonlySet<string> = new Set(Object.values(replayHeaderNames))

/** Of others; in the name of this replay, but of no event that it could have come from; of the event at `source`. */
export type Origin =
  | { readonly kind: 'foreign' }
  | { readonly kind: 'misnamed' }
  | { readonly kind: 'ours'; readonly source: bigint }

const foreign: Origin = { kind: 'foreign' }
const misnamed: Origin = { kind: 'misnamed' }

/** Told by the headers that a replay adds; a record without them is nobody's. */
export function originReader({
  plan,
  log,
}: PlannedLogWork): (records: SourceRecords, index: number) => Origin {
  const mark = Buffer.from(replayHeaderNames.id)
  const partition = String(log.partition)
  return (records, index) => {
    const start = records.headerStarts[index] as number
    const end = records.headerEnds[index] as number
    if (!records.bytes.subarray(start, end).includes(mark)) return foreign
    const values = headerValues(records.bytes, start, end)
    if (values === null || values.get(replayHeaderNames.id) !== plan.replayId) return foreign
    const text = values.get(replayHeaderNames.offset) ?? ''
    const named =
      values.get(replayHeaderNames.topic) === plan.topic &&
      values.get(replayHeaderNames.partition) === partition
    return named && /^\d{1,19}$/.test(text) ? { kind: 'ours', source: BigInt(text) } : misnamed
  }
}

function headerValues(bytes: Buffer, start: number, end: number): ReadonlyMap<string, string> | null {
  try {
    return new Map(
      readHeaders(bytes, start, end).map(({ key, value }) => [key, value?.toString('utf8') ?? '']),
    )
  } catch (error) {
    if (error instanceof MalformedHeadersError) return null
    throw error
  }
}

/** What of the record is not as the event has it, with commas; null when all is. */
export function differenceOf(records: SourceRecords, index: number, expected: Expected): string | null {
  const { records: logged, index: at } = expected
  const different: string[] = []
  if (!samePart(part(records, index, 'key'), part(logged, at, 'key'))) different.push('key')
  if (!samePart(part(records, index, 'value'), part(logged, at, 'value'))) different.push('value')
  const headers = records.bytes.subarray(records.headerStarts[index], records.headerEnds[index])
  if (!headers.equals(expected.headers)) different.push('headers')
  if (records.timestamps[index] !== logged.timestamps[at]) different.push('timestamp')
  return different.length === 0 ? null : different.join(', ')
}

function part(records: SourceRecords, index: number, which: 'key' | 'value'): Buffer | null {
  const start = (which === 'key' ? records.keyStarts : records.valueStarts)[index] as number
  const end = (which === 'key' ? records.keyEnds : records.valueEnds)[index] as number
  return start < 0 ? null : records.bytes.subarray(start, end)
}

const samePart = (left: Buffer | null, right: Buffer | null): boolean =>
  left === null || right === null ? left === right : left.equals(right)

/** The leaf that the record's own bytes give, as the event at `source`, without the added headers. */
export function leafOfRecord(records: SourceRecords, index: number, source: bigint): Hash {
  const stored = dropHeaders(
    records.bytes.subarray(records.headerStarts[index], records.headerEnds[index]),
    addedNames,
  )
  const key = part(records, index, 'key')
  const value = part(records, index, 'value')
  const bytes = Buffer.concat([key ?? Buffer.alloc(0), stored, value ?? Buffer.alloc(0)])
  const keyEnd = key?.length ?? 0
  const headersEnd = keyEnd + stored.length
  const one: SourceRecords = {
    bytes,
    count: 1,
    offsets: BigInt64Array.of(source),
    timestamps: BigInt64Array.of(records.timestamps[index] as bigint),
    keyStarts: Int32Array.of(key === null ? -1 : 0),
    keyEnds: Int32Array.of(key === null ? -1 : keyEnd),
    headerStarts: Int32Array.of(keyEnd),
    headerEnds: Int32Array.of(headersEnd),
    valueStarts: Int32Array.of(value === null ? -1 : headersEnd),
    valueEnds: Int32Array.of(value === null ? -1 : bytes.length),
  }
  return recordLeaf(one, 0)
}
