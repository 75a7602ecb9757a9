/** Headers of replayed records: the stored ones as they are, and where the record comes from. */

import { hashToHex } from '../src/domain/hash.ts'
import {
  appendHeaders,
  createAsciiFields,
  dropHeaders,
  encodeHeaderFields,
  type HeaderFields,
} from '../src/domain/headers.ts'
import type { EventPage } from '../src/ports.ts'

export const replayHeaderNames = {
  id: 'replay-id',
  topic: 'replay-source-topic',
  partition: 'replay-source-partition',
  offset: 'replay-source-offset',
  hash: 'replay-event-hash',
} as const

const addedNames: ReadonlySet<string> = new Set(Object.values(replayHeaderNames))
/** Every added name begins with this: most records hold no header that could be one of them. */
const namePrefix = Buffer.from('replay-', 'latin1')
const recordFields = createAsciiFields([replayHeaderNames.offset, replayHeaderNames.hash])
const OFFSET_DIGITS = 19
const HASH_DIGITS = 64

export interface ReplayOrigin {
  readonly replayId: string
  readonly topic: string
  readonly partition: number
}

/** Headers of one record of a page in Kafka's encoding. */
export function replayHeaders(origin: ReplayOrigin): (page: EventPage, index: number) => Buffer {
  const fixed = fixedFields(origin)
  return (page, index) => {
    const { records } = page
    const stored = records.bytes.subarray(records.headerStarts[index], records.headerEnds[index])
    const kept = stored.includes(namePrefix) ? dropHeaders(stored, addedNames) : stored
    const contentHash = page.contentHashes[index]
    if (contentHash === undefined) throw new RangeError(`no content hash for record ${index}`)
    return appendHeaders(kept, fixed, recordFields([String(records.offsets[index]), hashToHex(contentHash)]))
  }
}

/** The most that these headers add to a record. */
export function addedHeaderBytes(origin: ReplayOrigin): number {
  const variable = recordFields(['9'.repeat(OFFSET_DIGITS), '0'.repeat(HASH_DIGITS)])
  return fixedFields(origin).bytes.length + variable.bytes.length + 4
}

const fixedFields = ({ replayId, topic, partition }: ReplayOrigin): HeaderFields =>
  encodeHeaderFields([
    [replayHeaderNames.id, Buffer.from(replayId, 'utf8')],
    [replayHeaderNames.topic, Buffer.from(topic, 'utf8')],
    [replayHeaderNames.partition, Buffer.from(String(partition), 'utf8')],
  ])
