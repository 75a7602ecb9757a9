/**
 * Speed of verifying a log: 370-byte events in a database of its own, which is dropped afterwards.
 * `DATABASE_ADMIN_URL=… tsx bench/verify.bench.ts [events] [rounds]`. Prints wall clock, Node's and PostgreSQL's time.
 */
import { readFileSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { Client } from 'pg'
import { verifySlice } from '../activities/verification/verifyLogSlice.ts'
import { createDecoder } from '../src/domain/decode.ts'
import { recordLeaf } from '../src/domain/leaf.ts'
import type { RecordEntry } from '../src/domain/model.ts'
import { offset } from '../src/domain/model.ts'
import { isDamaged } from '../src/domain/verification/finding.ts'
import { createRecordDecoder } from '../src/ingest/decoder.ts'
import { createDatabase } from '../src/store/database.ts'
import { migrate } from '../src/store/migrate.ts'
import { createStore, type Store } from '../src/store/store.ts'
import { randomIdentity, requestFor, sourceRecords } from '../test/store/entries.ts'

const BATCH = 5_000
const adminUrl = process.env['DATABASE_ADMIN_URL'] ?? 'postgres://postgres@127.0.0.1:5432/postgres'
const events = Number(process.argv[2] ?? 500_000)
const rounds = Number(process.argv[3] ?? 3)
const verdict = createRecordDecoder(createDecoder({ maxValueBytes: 1 << 30, fastPath: true }))
const headers = Buffer.concat([
  Buffer.of(2, 10),
  Buffer.from('trace'),
  Buffer.of(16),
  Buffer.from('01234567'),
])

const eventAt = (index: number): Buffer =>
  Buffer.from(
    JSON.stringify({
      id: `00000000-0000-4000-8000-${index.toString(16).padStart(12, '0')}`,
      type: ['order.created', 'order.paid', 'order.shipped', 'user.login'][index % 4],
      source: `svc-${index % 10}`,
      timestamp: 1_760_000_000_000 + index,
      data: {
        orderId: `o-${index}`,
        amount: (index % 1000) / 10 + 0.01,
        currency: 'EUR',
        items: [
          { sku: `sku-${index % 97}`, qty: (index % 5) + 1 },
          { sku: `sku-${index % 89}`, qty: 1 },
        ],
        note: `Lorem ipsum dolor sit amet, consectetur adipiscing elit ${index}`,
      },
      metadata: {
        version: '1',
        correlationId: `c-${index >> 3}`,
        userId: `u-${index % 1000}`,
        tenantId: `t-${index % 20}`,
      },
    }),
  )

async function fill(store: Store): Promise<number> {
  const log = await store.writer.openLog(randomIdentity(), offset(0n), 0)
  let { position } = log
  for (let from = 0; from < events; from += BATCH) {
    const specs = Array.from({ length: Math.min(BATCH, events - from) }, (_, i) => ({
      offset: BigInt(from + i),
      value: eventAt(from + i),
      headers,
    }))
    const records = sourceRecords(specs)
    const entries = specs.map(
      (_, index): RecordEntry => ({
        kind: 'record',
        records,
        index,
        decoded: verdict(records, index),
        leaf: recordLeaf(records, index),
      }),
    )
    const request = requestFor(log, position, entries, BigInt(from + specs.length))
    const outcome = await store.writer.append(
      await store.writer.prepare(request),
      async () => log.identity.topicId,
    )
    if (outcome.kind !== 'appended') throw new Error(outcome.kind)
    position = request.next
  }
  return log.logId
}

/** CPU time of the server processes of this database, in seconds; null where /proc does not tell. */
async function serverSeconds(client: Client): Promise<number | null> {
  const { rows } = await client.query<{ pid: number }>(
    'select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
  )
  try {
    return rows.reduce((sum, { pid }) => {
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/.*\) /, '').split(' ')
      return sum + (Number(fields[11]) + Number(fields[12])) / 100
    }, 0)
  } catch {
    return null
  }
}

async function round(store: Store, logId: number, client: Client): Promise<void> {
  const before = await serverSeconds(client)
  const cpu = process.cpuUsage()
  const start = performance.now()
  const deps = { audit: store.audit, verdict, observer: { leavesVerified: () => undefined }, now: Date.now }
  const progress = await verifySlice(deps, logId, null, {
    signal: new AbortController().signal,
    due: () => false,
    report: () => undefined,
  })
  const seconds = (performance.now() - start) / 1_000
  const used = process.cpuUsage(cpu)
  const after = await serverSeconds(client)
  if (isDamaged(progress.findings)) throw new Error(JSON.stringify(progress.findings))
  const node = (used.user + used.system) / events
  const server = before === null || after === null ? '?' : (((after - before) * 1e6) / events).toFixed(1)
  console.log(
    `  ${Math.round(events / seconds)} events/s by the clock; ${node.toFixed(2)} µs of Node and ${server} µs of PostgreSQL an event; ` +
      `one core for Node alone: ${Math.round(1e6 / node)} events/s`,
  )
}

async function main(): Promise<void> {
  const name = `verify_bench_${process.pid}`
  const url = new URL(adminUrl)
  url.pathname = `/${name}`
  const admin = new Client({ connectionString: adminUrl })
  await admin.connect()
  await admin.query(`create database ${name}`)
  try {
    await migrate({ adminUrl: url.href })
    const database = createDatabase({ url: url.href })
    const client = new Client({ connectionString: url.href })
    await client.connect()
    const store = createStore(database)
    const logId = await fill(store)
    console.log(`${events} events, ${eventAt(1).length} bytes each`)
    for (let i = 0; i < rounds; i++) await round(store, logId, client)
    await client.end()
    await database.close()
  } finally {
    await admin.query(`drop database ${name} with (force)`)
    await admin.end()
  }
}

await main()
