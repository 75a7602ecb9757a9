/** What of one log of a replay was committed to the target, told by the target's own records. */
import { MalformedHeadersError, readHeaders } from '../src/domain/headers.ts'
import { type Offset, offset, type SourceRecords } from '../src/domain/model.ts'
import type { TargetReader } from '../src/ports.ts'
import type { PlannedLogWork } from './lane.ts'
import { replayHeaderNames } from './replayHeaders.ts'

export type Evidence =
  /** The last record of this log there is the event at this source offset. */
  | { readonly kind: 'last'; readonly source: Offset }
  /** The whole partition was read, and none of it is of this log. */
  | { readonly kind: 'nothing' }
  /** The target does not tell; `why` is for people. */
  | { readonly kind: 'unknown'; readonly why: string }

/**
 * `producerId` is the log's own producer's. A name that people choose may have been used by another installation for the
 * same target; its records have another producer, as do ours when Kafka has forgotten it (after seven days by default).
 * What the mirror knows to have been produced decides then: ours come last. Throws KAFKA_UNAVAILABLE.
 */
export async function lastProduced(
  targets: TargetReader,
  work: PlannedLogWork,
  producerId: bigint | null,
  signal: AbortSignal,
): Promise<Evidence> {
  const { plan, log } = work
  const place = { topic: plan.targetTopic, partition: log.targetPartition }
  const found = await targets.lastRecord(place, sourceOffsetOf(work), signal)
  switch (found.kind) {
    case 'found':
      if (found.producerId === producerId || log.events > 0n) return { kind: 'last', source: found.value }
      return { kind: 'unknown', why: 'the target has records of a replay of this name by another producer' }
    case 'none':
      if (found.start === 0n && log.events === 0n) return { kind: 'nothing' }
      return {
        kind: 'unknown',
        why: `the target, which begins at offset ${found.start}, has none of the records any more`,
      }
    case 'unreadable':
      return { kind: 'unknown', why: `the target cannot be read back: ${found.reason}` }
    default:
      return found satisfies never
  }
}

/** Source offset of a record of this replay and log, by the headers that `replayHeaders` adds; null for all others. */
function sourceOffsetOf({
  plan,
  log,
}: PlannedLogWork): (records: SourceRecords, index: number) => Offset | null {
  const expected = new Map([
    [replayHeaderNames.id, plan.replayId],
    [replayHeaderNames.topic, plan.topic],
    [replayHeaderNames.partition, String(log.partition)],
  ])
  const mark = Buffer.from(replayHeaderNames.id)
  return (records, index) => {
    const start = records.headerStarts[index] ?? 0
    const end = records.headerEnds[index] ?? 0
    if (!records.bytes.subarray(start, end).includes(mark)) return null
    const values = headerValues(records.bytes, start, end)
    for (const [name, value] of expected) if (values.get(name) !== value) return null
    const text = values.get(replayHeaderNames.offset) ?? ''
    if (!/^\d{1,19}$/.test(text)) return null
    const source = offset(BigInt(text))
    return source >= log.from && source < log.to ? source : null
  }
}

function headerValues(bytes: Buffer, start: number, end: number): ReadonlyMap<string, string> {
  try {
    return new Map(
      readHeaders(bytes, start, end).map(({ key, value }) => [key, value?.toString('utf8') ?? '']),
    )
  } catch (error) {
    // Not one of ours: those are well-formed.
    if (error instanceof MalformedHeadersError) return new Map()
    throw error
  }
}
