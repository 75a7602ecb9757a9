/** Logs as ingest makes them: every column follows from the bytes. And the ways in which a superuser damages them. */
import { randomUUID } from 'node:crypto'
import type { Client } from 'pg'
import { createDecoder } from '../../src/domain/decode.ts'
import { gapLeaf, recordLeaf, undecodableLeaf } from '../../src/domain/leaf.ts'
import {
  type GapEntry,
  type LogEntry,
  offset,
  type RecordEntry,
  type UndecodableEntry,
} from '../../src/domain/model.ts'
import { createRecordDecoder } from '../../src/ingest/decoder.ts'
import { type RecordSpec, sourceRecords } from '../store/entries.ts'

export const verdict = createRecordDecoder(
  createDecoder({ maxValueBytes: Number.MAX_SAFE_INTEGER, fastPath: true }),
)

/** An id that is a function of the number. */
export const idAt = (number: bigint | number): string =>
  `00000000-0000-4000-8000-${BigInt(number).toString(16).padStart(12, '0')}`

export const eventValue = (
  number: bigint | number,
  changes: Readonly<Record<string, unknown>> = {},
): Buffer =>
  Buffer.from(
    JSON.stringify({
      id: idAt(number),
      type: `entity.${Number(number) % 3 === 0 ? 'created' : 'geändert'}`,
      source: 'shop',
      timestamp: 1_760_000_000_000 + Number(number),
      data: { number: Number(number), text: 'x'.repeat(Number(number) % 40) },
      metadata: {
        version: '1',
        ...(Number(number) % 5 !== 0 && { tenantId: `tenant-${Number(number) % 7}` }),
      },
      ...(Number(number) % 4 === 0 && {
        provenance: { classification: 'SECRET', policyTags: ['PII', 'GDPR'] },
      }),
      ...changes,
    }),
  )

/** A record as it is found, with the verdict of ingest. */
export function trueEntry(spec: RecordSpec): RecordEntry {
  const records = sourceRecords([spec])
  return { kind: 'record', records, index: 0, decoded: verdict(records, 0), leaf: recordLeaf(records, 0) }
}

const headers = Buffer.from([2, 10, ...Buffer.from('trace'), 4, 1, 2])

export const trueEvent = (at: bigint): RecordEntry =>
  trueEntry({
    offset: at,
    timestamp: 1_760_000_000_000n + at,
    key: at % 7n === 0n ? null : Buffer.from(`key-${at}`),
    value: eventValue(at),
    ...(at % 2n === 0n && { headers }),
  })

export const trueEvents = (from: bigint, to: bigint): RecordEntry[] =>
  Array.from({ length: Number(to - from) }, (_, index) => trueEvent(from + BigInt(index)))

export const trueGap = (from: bigint, to: bigint): GapEntry => ({
  kind: 'gap',
  from: offset(from),
  to: offset(to),
  leaf: gapLeaf(offset(from), offset(to)),
})

export function trueBatch(from: bigint, to: bigint): UndecodableEntry {
  const bytes = Buffer.from(`a batch that nobody can open ${from}`)
  const batch = {
    firstOffset: offset(from),
    lastOffset: offset(to - 1n),
    timestamp: 1_760_000_000_000n,
    bytes,
    detail: 'it cannot be opened',
  }
  return { kind: 'undecodable', batch, leaf: undecodableLeaf(batch) }
}

/** Every kind of row, some hundred offsets from `start`; returns the offset behind it. */
export function motley(start: bigint, count: number): { entries: LogEntry[]; end: bigint } {
  const entries: LogEntry[] = []
  let at = start
  for (let i = 0; i < count; i++) {
    switch (i % 41) {
      case 5:
        entries.push(trueGap(at, at + 10n))
        at += 10n
        break
      case 11:
        entries.push(trueEntry({ offset: at, value: Buffer.from('not json') }))
        at += 1n
        break
      case 17:
        entries.push(trueEntry({ offset: at, value: null }))
        at += 1n
        break
      case 23:
        entries.push(trueBatch(at, at + 5n))
        at += 5n
        break
      case 29:
        // The id of an earlier event: a duplicate, or a conflict.
        entries.push(
          trueEntry({ offset: at, value: eventValue(start, i % 2 === 0 ? {} : { type: 'other' }) }),
        )
        at += 1n
        break
      default:
        entries.push(trueEvent(at))
        // Holes are normal.
        at += i % 13 === 0 ? 3n : 1n
    }
  }
  return { entries, end: at }
}

/** Statements as the superuser, with every trigger and check of the table out of the way. */
export async function withoutGuards(
  client: Client,
  statements: (client: Client) => Promise<unknown>,
): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    `select c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'public' and c.relkind in ('r', 'p')`,
  )
  for (const { name } of rows) await client.query(`alter table ${name} disable trigger user`)
  await statements(client)
  for (const { name } of rows) await client.query(`alter table ${name} enable trigger user`)
}

export const randomTopic = (): string => `topic-${randomUUID().slice(0, 8)}`
