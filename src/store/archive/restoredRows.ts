/** Leaves with their bytes back into the tables that they came from, with the times that they had. */
import type { Client } from 'pg'
import { singleRecord } from '../../domain/evidence/exportedRecord.ts'
import { hashToBytes } from '../../domain/hash.ts'
import type { DeadLetterCode, LogId, RecordEntry, Rejection, UndecodableEntry } from '../../domain/model.ts'
import type { RestoredRow } from '../../ports.ts'
import type { ChunkPool } from '../chunks.ts'
import { CopyIn } from '../copyIn.ts'
import { CopyRows, stampEachRow } from '../copyRows.ts'
import { COPY_DEAD_LETTERS, encodeDeadLetter, INGESTED_AT_IN_DEAD_LETTER } from '../deadLetterRows.ts'
import { COPY_EVENTS, EventRowEncoder, INGESTED_AT_IN_EVENT, writeUuid } from '../eventRows.ts'
import { timestampHalves } from '../int8.ts'

const UUID_BYTES = 16
const ids = Buffer.alloc(UUID_BYTES)

/** Rows of one kind with the time of each. */
interface Table {
  readonly rows: CopyRows
  readonly times: number[]
}

interface GapRow {
  readonly from: bigint
  readonly to: bigint
  readonly leafIndex: bigint
  readonly leaf: Buffer
  readonly ms: number
}

/** A record without a dead letter's code that is no event any more, by today's verdict, becomes a dead letter. */
export async function copyRestoredRows(
  client: Client,
  chunks: ChunkPool,
  id: LogId,
  rows: readonly RestoredRow[],
): Promise<void> {
  const events: Table = { rows: new CopyRows(chunks), times: [] }
  const deadLetters: Table = { rows: new CopyRows(chunks), times: [] }
  const gaps: GapRow[] = []
  const encoder = new EventRowEncoder(events.rows, id)
  for (const row of rows) encode(row, id, encoder, events, deadLetters, gaps)
  await copy(client, chunks, COPY_EVENTS, INGESTED_AT_IN_EVENT, events)
  await copy(client, chunks, COPY_DEAD_LETTERS, INGESTED_AT_IN_DEAD_LETTER, deadLetters)
  for (const gap of gaps)
    await client.query(
      `insert into public.gaps (log_id, from_offset, to_offset, leaf_index, leaf_hash, ingested_at)
       values ($1, $2, $3, $4, $5, to_timestamp($6::float8 / 1000))`,
      [id, `${gap.from}`, `${gap.to}`, `${gap.leafIndex}`, gap.leaf, gap.ms],
    )
}

function encode(
  { record, decoded }: RestoredRow,
  id: LogId,
  encoder: EventRowEncoder,
  events: Table,
  deadLetters: Table,
  gaps: GapRow[],
): void {
  const { content, leaf, leafIndex, ingestedAt: ms = 0, deadLetter } = record
  switch (content.kind) {
    case 'gap':
      gaps.push({ from: content.from, to: content.to, leafIndex, leaf: hashToBytes(leaf), ms })
      return
    case 'batch': {
      const { code = 'UNDECODABLE_BATCH', detail = '' } = deadLetter ?? {}
      const entry: UndecodableEntry = { kind: 'undecodable', batch: { ...content, detail }, leaf }
      encodeDeadLetter(deadLetters.rows, id, entry, leafIndex, reason(code, detail))
      deadLetters.times.push(ms)
      return
    }
    case 'record': {
      const why = deadLetter === undefined ? decoded : reason(deadLetter.code, deadLetter.detail)
      if (why === null) throw new RangeError(`leaf ${leafIndex} was not judged`)
      const entry: RecordEntry = {
        kind: 'record',
        records: singleRecord(content),
        index: 0,
        decoded: why,
        leaf,
      }
      if (why.kind === 'rejected') {
        encodeDeadLetter(deadLetters.rows, id, entry, leafIndex, why)
        deadLetters.times.push(ms)
        return
      }
      writeUuid(why.id, ids, 0)
      encoder.encode(entry, why, Number(leafIndex), ids, 0)
      events.times.push(ms)
      return
    }
    default:
      content satisfies never
  }
}

const reason = (code: string, detail: string): Rejection => ({
  kind: 'rejected',
  code: code as DeadLetterCode,
  detail,
})

async function copy(
  client: Client,
  chunks: ChunkPool,
  text: string,
  displacement: number,
  { rows, times }: Table,
): Promise<void> {
  if (times.length > 0) {
    stampEachRow(rows.seal(), displacement, (row) => timestampHalves(times[row] ?? 0))
    await client.query(new CopyIn(text, [{ rows, omit: [] }])).finished
  }
  chunks.give(rows.chunks)
}
