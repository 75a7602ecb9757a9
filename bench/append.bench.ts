/**
 * The store's share of ingest: synthetic batches appended to four logs, two in flight each, beside plain COPY of the
 * same rows. `DATABASE_ADMIN_URL=… tsx bench/append.bench.ts [events]`; makes a database of its own and drops it.
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
const total = Number(process.argv[2] ?? 400_000)
const perLog = Math.floor(total / LOGS / BATCH) * BATCH

function requestsOf(log: LogState): AppendRequest[] {
  const requests: AppendRequest[] = []
  let position = log.position
  const value = Buffer.alloc(VALUE_BYTES, 'x')
  for (let from = 0n; from < BigInt(perLog); from += BigInt(BATCH)) {
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

interface Measured {
  readonly eventsPerSecond: number
  readonly nodeMicros: number
}

async function measured(events: number, work: () => Promise<void>): Promise<Measured> {
  const cpu = process.cpuUsage()
  const start = performance.now()
  await work()
  const seconds = (performance.now() - start) / 1_000
  const used = process.cpuUsage(cpu)
  return { eventsPerSecond: events / seconds, nodeMicros: (used.user + used.system) / events }
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
async function plainCopy(url: string, prepared: readonly EncodedAppend[]): Promise<Measured> {
  const clients = [new Client({ connectionString: url }), new Client({ connectionString: url })]
  await Promise.all(clients.map((client) => client.connect()))
  try {
    await clients[0]?.query(
      'create table copied (like events); create unique index on copied (log_id, "offset")',
    )
    await clients[0]?.query('create index on copied (id)')
    const { high, low } = timestampHalves(Date.now())
    return await measured(perLog * LOGS, async () => {
      await Promise.all(
        clients.map(async (client, part) => {
          for (const [i, { events: rows }] of prepared.entries()) {
            if (i % clients.length !== part) continue
            stampRows(rows.seal(), INGESTED_AT_IN_EVENT, high, low)
            await client.query(new CopyIn(COPY_EVENTS.replace('events', 'copied'), [{ rows, omit: [] }]))
              .finished
          }
        }),
      )
    })
  } finally {
    await Promise.all(clients.map((client) => client.end()))
  }
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
    const store = createStore(database)
    await store.writer.ensurePartitions()
    const logs: LogState[] = []
    for (let i = 0; i < LOGS; i++)
      logs.push(await store.writer.openLog(randomIdentity(i, 'bench'), offset(0n), 0))
    const requests = logs.map(requestsOf)
    const events = perLog * LOGS

    const chunks = new ChunkPool()
    const encoded: EncodedAppend[] = []
    const encoding = await measured(events, async () => {
      for (const request of requests.flat()) encoded.push(await encodeAppend(request, chunks))
    })
    console.log(`prepare  ${line(encoding)}`)
    await admin.query('checkpoint')
    console.log(`copy     ${line(await plainCopy(url.href, encoded))}`)
    await admin.query('checkpoint')
    const appended = await measured(events, async () => {
      await Promise.all(requests.map((list, i) => appendAll(store, list, logs[i]?.identity.topicId ?? '')))
    })
    console.log(`append   ${line(appended)}`)

    const read = await measured(events, async () => {
      for (const log of logs) {
        for (let at = offset(0n); at < BigInt(perLog); ) {
          const page = await store.reader.readPage({
            logId: log.logId,
            from: at,
            to: offset(BigInt(perLog)),
            filters: {},
            maxScanned: 4_096,
            maxBytes: 4 << 20,
          })
          at = page.next
        }
      }
    })
    console.log(`readPage ${line(read)}`)
    await database.close()
  } finally {
    await admin.query(`drop database if exists ${name} with (force)`)
    await admin.end()
  }
}

const line = ({ eventsPerSecond, nodeMicros }: Measured): string =>
  `${Math.round(eventsPerSecond).toLocaleString('en')} events/s, ${nodeMicros.toFixed(2)} µs of Node per event`

await main()
