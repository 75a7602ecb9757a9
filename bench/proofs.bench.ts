/**
 * How long proofs take in a long log: an event by its id, with the newest checkpoint over it, as GET /events/:id/proof hands it
 * out; and consistency proofs between any two sizes. `DATABASE_ADMIN_URL=… tsx bench/proofs.bench.ts [events] [proofs]`; makes a
 * database of its own and drops it.
 */
import { randomUUID } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import { Client } from 'pg'
import { storeCheckpoint } from '../activities/storeCheckpoint.ts'
import { formatSigningKey, parseSigningKey } from '../src/domain/evidence/noteKeys.ts'
import { recordLeaf } from '../src/domain/leaf.ts'
import { type LogPosition, leafIndex, offset } from '../src/domain/model.ts'
import { createEvidenceOperations } from '../src/evidence/operations.ts'
import type { LogState, PreparedAppend } from '../src/ports.ts'
import { createDatabase } from '../src/store/database.ts'
import { migrate } from '../src/store/migrate.ts'
import { createStore, type Store } from '../src/store/store.ts'
import { accepted, eventEntries, idOf, randomIdentity, requestFor } from '../test/store/entries.ts'

const BATCH = 5_000
const value = Buffer.from('{"small":"the tree does not care"}')
const key = Buffer.from('k')

const adminUrl = process.env['DATABASE_ADMIN_URL'] ?? 'postgres://postgres@127.0.0.1:5432/postgres'
const events = Math.ceil(Number(process.argv[2] ?? 1_000_000) / BATCH) * BATCH
const proofs = Number(process.argv[3] ?? 300)

const say = (text: string): boolean => process.stdout.write(`${text}\n`)

/** Appends up to `size` events, the next batch encoded while this one is on its way. */
async function grow(store: Store, log: LogState, from: LogPosition, size: number): Promise<LogPosition> {
  let position = from
  const prepareNext = (): Promise<PreparedAppend> | null => {
    if (position.size >= BigInt(size)) return null
    const to = position.nextOffset + BigInt(BATCH)
    const specs = eventEntries(position.nextOffset, to, accepted, (at) => ({ offset: at, key, value }))
    const entries = specs.map((entry) => ({ ...entry, leaf: recordLeaf(entry.records, entry.index) }))
    const request = requestFor(log, position, entries, to)
    position = request.next
    return store.writer.prepare(request)
  }
  for (let next = prepareNext(); next !== null; ) {
    const prepared = await next
    next = prepareNext()
    const outcome = await store.writer.append(prepared, async () => log.identity.topicId)
    if (outcome.kind !== 'appended') throw new Error(outcome.kind)
  }
  return position
}

async function timed(label: string, work: (round: number) => Promise<unknown>): Promise<void> {
  await work(0)
  const times: number[] = []
  for (let round = 0; round < proofs; round++) {
    const started = performance.now()
    await work(round)
    times.push(performance.now() - started)
  }
  times.sort((one, other) => one - other)
  const at = (share: number): string => (times[Math.floor(share * (times.length - 1))] ?? 0).toFixed(1)
  say(`  ${label.padEnd(24)} p50 ${at(0.5)} ms  p99 ${at(0.99)} ms  max ${at(1)} ms`)
}

const below = (limit: number): number => Math.floor(Math.random() * limit)

async function measure(store: Store, log: LogState, size: number): Promise<void> {
  const signing = { keys: [signingKey()], overlapMs: 0 }
  const { reader, checkpoints, signingKeys, queries } = store
  const deps = { log: reader, checkpoints, signingKeys, signing, checkpointStored: () => undefined }
  const request = { topic: log.identity.topic }
  await storeCheckpoint(deps, { checkpointId: randomUUID(), request, requestedBy: 'bench' })
  const evidence = createEvidenceOperations({
    reader,
    checkpoints,
    signingKeys,
    notes: store.notes,
    instanceName: 'bench',
  })
  say(`${size} events, ${proofs} of each:`)
  await timed('proof of an event', async () => {
    const [event] = await queries.findEventsById(idOf(below(size)), {})
    if (event === undefined) throw new Error('an event is missing')
    await evidence.eventProof(event)
  })
  await timed('consistency proof', () => {
    const [one, other] = [below(size) + 1, below(size) + 1]
    const [oldSize, newSize] = one < other ? [one, other] : [other, one]
    return reader.consistencyProof(log.logId, leafIndex(BigInt(oldSize)), leafIndex(BigInt(newSize)))
  })
}

function signingKey() {
  const key = parseSigningKey(formatSigningKey('bench.example', Buffer.alloc(32, 1)))
  if (!key.ok) throw new Error(key.detail)
  return key.value
}

async function main(): Promise<void> {
  const name = `proofs_bench_${process.pid}`
  const url = new URL(adminUrl)
  url.pathname = `/${name}`
  const admin = new Client({ connectionString: adminUrl })
  await admin.connect()
  await admin.query(`create database ${name}`)
  try {
    await migrate({ adminUrl: url.href })
    const database = createDatabase({ url: url.href })
    const store = createStore(database, { dedupWindowOffsets: 0n })
    await store.writer.ensurePartitions()
    const log = await store.writer.openLog(randomIdentity(0, 'bench'), offset(0n), 0)
    let { position } = log
    for (const size of [Math.ceil(events / 100 / BATCH) * BATCH, events]) {
      const started = performance.now()
      const before = position.size
      position = await grow(store, log, position, size)
      const seconds = (performance.now() - started) / 1_000
      say(`appended ${position.size - before} in ${seconds.toFixed(0)} s`)
      await measure(store, log, size)
    }
    await database.close()
  } finally {
    await admin.query(`drop database if exists ${name} with (force)`)
    await admin.end()
  }
}

await main()
