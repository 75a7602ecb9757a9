/**
 * The store's share of ingest: synthetic batches appended to four logs, two in flight each, beside plain COPY of the
 * same rows. `DATABASE_ADMIN_URL=… tsx bench/append.bench.ts [events] [rounds]`; makes a database of its own and drops it.
 */
import { performance } from 'node:perf_hooks'
import { Client } from 'pg'
import { offset } from '../src/domain/model.ts'
import type { AppendRequest, LogState, PreparedAppend } from '../src/ports.ts'
import { ChunkPool } from '../src/store/chunks.ts'
import { CopyIn } from '../src/store/copyIn.ts'
import { stampRows } from '../src/store/copyRows.ts'
import { createDatabase } from '../src/store/database.ts'
import { COPY_EVENTS, INGESTED_AT_IN_EVENT } from '../src/store/eventRows.ts'
import { timestampHalves } from '../src/store/int8.ts'
import { migrate } from '../src/store/migrate.ts'
import { type EncodedAppend, encodeAppend } from '../src/store/prepared.ts'
import { createStore, type Store } from '../src/store/store.ts'
import { accepted, eventEntries, randomIdentity, requestFor } from '../test/store/entries.ts'

const LOGS = 4
const BATCH = 5_000
const VALUE_BYTES = 370
const headers = Buffer.concat([
  Buffer.of(2, 10),
  Buffer.from('trace'),
  Buffer.of(16),
  Buffer.from('01234567'),
])

const adminUrl = process.env['DATABASE_ADMIN_URL'] ?? 'postgres://postgres@127.0.0.1:5432/postgres'
const perRound = Number(process.argv[2] ?? 100_000)
const rounds = Number(process.argv[3] ?? 4)
const perLog = Math.max(1, Math.floor(perRound / LOGS / BATCH)) * BATCH
const events = perLog * LOGS

/** One round's batches of a log: synthetic records are objects by the million, so only a round's worth is alive. */
function requestsOf(log: LogState): AppendRequest[] {
  const requests: AppendRequest[] = []
  let position = log.position
  const { nextOffset } = position
  const value = Buffer.alloc(VALUE_BYTES, 'x')
  for (let from: bigint = nextOffset; from < nextOffset + BigInt(perLog); from += BigInt(BATCH)) {
    const entries = eventEntries(
      from,
      from + BigInt(BATCH),
      (at) => accepted(BigInt(log.logId) * 1_000_000_000n + at),
      (at) => ({ offset: at, value, headers }),
    )
    const request = requestFor(log, position, entries, from + BigInt(BATCH))
    position = request.next
    requests.push(request)
  }
  return requests
}

async function measured(label: string, work: () => Promise<void>): Promise<number> {
  const cpu = process.cpuUsage()
  const start = performance.now()
  await work()
  const rate = (events / (performance.now() - start)) * 1_000
  const used = process.cpuUsage(cpu)
  const micros = (used.user + used.system) / events
  console.log(`  ${label.padEnd(9)}${Math.round(rate)} events/s, ${micros.toFixed(2)} µs of Node per event`)
  return rate
}

/** The next batch is encoded while this one is on its way. */
async function appendAll(store: Store, requests: readonly AppendRequest[], topicId: string): Promise<void> {
  let next: Promise<PreparedAppend> | undefined = requests[0] && store.writer.prepare(requests[0])
  for (let i = 0; next !== undefined; i++) {
    const prepared: PreparedAppend = await next
    const following = requests[i + 1]
    next = following && store.writer.prepare(following)
    const outcome = await store.writer.append(prepared, async () => topicId)
    if (outcome.kind !== 'appended') throw new Error(outcome.kind)
  }
}

/** The same rows, already encoded, into a table with the same indexes: two connections, COPY and nothing else. */
async function plainCopy(clients: readonly Client[], prepared: readonly EncodedAppend[]): Promise<void> {
  const text = COPY_EVENTS.replace('public.events', 'public.copied')
  const { high, low } = timestampHalves(Date.now())
  await Promise.all(
    clients.map(async (client, part) => {
      for (const [i, { events: rows }] of prepared.entries()) {
        if (i % clients.length !== part) continue
        stampRows(rows.seal(), INGESTED_AT_IN_EVENT, high, low)
        await client.query(new CopyIn(text, [{ rows, omit: [] }])).finished
      }
    }),
  )
}

async function readAll(store: Store, logs: readonly LogState[]): Promise<void> {
  for (const { logId, position } of logs) {
    const to = offset(position.nextOffset + BigInt(perLog))
    for (let from = position.nextOffset; from < to; ) {
      const bounds = { maxScanned: 4_096, maxBytes: 4 << 20 }
      from = (await store.reader.readPage({ logId, from, to, filters: {}, ...bounds })).next
    }
  }
}

async function round(
  store: Store,
  partitions: readonly LogState[],
  clients: readonly Client[],
): Promise<void> {
  const logs: LogState[] = []
  for (const { logId } of partitions) {
    const log = await store.reader.logById(logId)
    if (log !== null) logs.push(log)
  }
  const requests = logs.map(requestsOf)
  const encoded: EncodedAppend[] = []
  await measured('prepare', async () => {
    const chunks = new ChunkPool()
    for (const request of requests.flat()) encoded.push(await encodeAppend(request, chunks))
  })
  const copied = await measured('copy', () => plainCopy(clients, encoded))
  const appended = await measured('append', async () => {
    await Promise.all(requests.map((list, i) => appendAll(store, list, logs[i]?.identity.topicId ?? '')))
  })
  await measured('readPage', () => readAll(store, logs))
  console.log(`  append : copy ${(appended / copied).toFixed(2)}`)
}

async function main(): Promise<void> {
  const name = `append_bench_${process.pid}`
  const url = new URL(adminUrl)
  url.pathname = `/${name}`
  const admin = new Client({ connectionString: adminUrl })
  await admin.connect()
  await admin.query(`create database ${name}`)
  try {
    await migrate({ adminUrl: url.href })
    const database = createDatabase({ url: url.href })
    const clients = [new Client({ connectionString: url.href }), new Client({ connectionString: url.href })]
    for (const client of clients) await client.connect()
    const [first] = clients
    await first?.query('create table copied (like events); create index on copied (id)')
    await first?.query('create unique index on copied (log_id, "offset")')
    const store = createStore(database)
    await store.writer.ensurePartitions()
    const logs: LogState[] = []
    for (let i = 0; i < LOGS; i++)
      logs.push(await store.writer.openLog(randomIdentity(i, 'bench'), offset(0n), 0))
    for (let i = 1; i <= rounds; i++) {
      console.log(`round ${i}: ${events} events of ${VALUE_BYTES} bytes to ${LOGS} logs, batches of ${BATCH}`)
      await round(store, logs, clients)
    }
    for (const client of clients) await client.end()
    await database.close()
  } finally {
    await admin.query(`drop database if exists ${name} with (force)`)
    await admin.end()
  }
}

await main()
