/** Synthetic log entries: what ingest hands to the store, made without Kafka and without decoding. */
import { createHash, randomUUID } from 'node:crypto'
import { sha256 } from '../../src/domain/hash.ts'
import { appendLeaves } from '../../src/domain/merkle.ts'
import {
  type Decoded,
  type GapEntry,
  type LogEntry,
  type LogPosition,
  offset,
  type RecordEntry,
  type SourceRecords,
} from '../../src/domain/model.ts'
import type { AppendRequest, LogState } from '../../src/ports.ts'

export interface RecordSpec {
  readonly offset: bigint
  readonly timestamp?: bigint
  readonly key?: Buffer | null
  readonly value?: Buffer | null
  readonly headers?: Buffer
}

/** Records laid out one after another in one buffer, as a decoded record batch is. */
export function sourceRecords(specs: readonly RecordSpec[]): SourceRecords {
  const count = specs.length
  const parts: Buffer[] = []
  let at = 0
  const put = (bytes: Buffer): [number, number] => {
    parts.push(bytes)
    at += bytes.length
    return [at - bytes.length, at]
  }
  const records = {
    count,
    offsets: new BigInt64Array(count),
    timestamps: new BigInt64Array(count),
    keyStarts: new Int32Array(count).fill(-1),
    keyEnds: new Int32Array(count).fill(-1),
    valueStarts: new Int32Array(count).fill(-1),
    valueEnds: new Int32Array(count).fill(-1),
    headerStarts: new Int32Array(count),
    headerEnds: new Int32Array(count),
  }
  specs.forEach((spec, i) => {
    records.offsets[i] = spec.offset
    records.timestamps[i] = spec.timestamp ?? 1_700_000_000_000n + spec.offset
    if (spec.key !== null)
      [records.keyStarts[i], records.keyEnds[i]] = put(spec.key ?? Buffer.from(`key-${spec.offset}`))
    if (spec.value !== null)
      [records.valueStarts[i], records.valueEnds[i]] = put(
        spec.value ?? Buffer.from(`{"offset":"${spec.offset}"}`),
      )
    ;[records.headerStarts[i], records.headerEnds[i]] = put(spec.headers ?? Buffer.of(0))
  })
  return { bytes: Buffer.concat(parts), ...records }
}

/** Some id that is a function of the number. */
export function idOf(number: bigint | number): string {
  const hex = createHash('sha256').update(`id ${number}`).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

export function accepted(
  number: bigint | number,
  change: Partial<Extract<Decoded, { kind: 'event' }>> = {},
): Decoded {
  return {
    kind: 'event',
    id: idOf(number),
    type: 'entity.created',
    source: 'test',
    tenantId: 'tenant-1',
    timestampMs: 1_700_000_000_000 + Number(number),
    classification: 'UNCLASSIFIED',
    policyTags: [],
    contentHash: sha256(`content ${number}`),
    ...change,
  }
}

/** A leaf that is a function of the offset; the store does not recompute leaves. */
export const leafOf = (number: bigint | number) => sha256(`leaf ${number}`)

export function recordEntry(spec: RecordSpec, decoded: Decoded = accepted(spec.offset)): RecordEntry {
  return { kind: 'record', records: sourceRecords([spec]), index: 0, decoded, leaf: leafOf(spec.offset) }
}

/** Events at the offsets [from, to), in one buffer. */
export function eventEntries(
  from: bigint,
  to: bigint,
  decodedOf: (offset: bigint) => Decoded = accepted,
  specOf: (offset: bigint) => RecordSpec = (at) => ({ offset: at }),
): RecordEntry[] {
  const specs: RecordSpec[] = []
  for (let at = from; at < to; at++) specs.push(specOf(at))
  const records = sourceRecords(specs)
  return specs.map((spec, index) => ({
    kind: 'record',
    records,
    index,
    decoded: decodedOf(spec.offset),
    leaf: leafOf(spec.offset),
  }))
}

export const gapEntry = (from: bigint, to: bigint): GapEntry => ({
  kind: 'gap',
  from: offset(from),
  to: offset(to),
  leaf: leafOf(from),
})

/** The request that appends the entries to a log that stands at `position`. */
export function requestFor(
  log: Pick<LogState, 'logId' | 'identity'>,
  position: LogPosition,
  entries: readonly LogEntry[],
  nextOffset: bigint,
  leaderEpoch = 0,
): AppendRequest {
  const { nodes, size, frontier } = appendLeaves(
    position,
    entries.map((entry) => entry.leaf),
  )
  return {
    logId: log.logId,
    identity: log.identity,
    expected: position,
    next: { nextOffset: offset(nextOffset), size, frontier },
    nodes,
    entries,
    leaderEpoch,
  }
}

export const randomIdentity = (partition = 0, topic = `topic-${randomUUID().slice(0, 8)}`) => ({
  topic,
  partition,
  topicId: randomUUID() as string,
})
