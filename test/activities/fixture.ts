/** The activities on real servers: a database with a log in it, Kafka, and a reader of what arrived. */
import { randomUUID } from 'node:crypto'
import type { Kafka } from 'kafkajs'
import { afterAll, beforeAll } from 'vitest'
import type { ActivityDependencies, ActivityScope } from '../../activities/dependencies.ts'
import { createDecoder } from '../../src/domain/decode.ts'
import { recordLeaf } from '../../src/domain/leaf.ts'
import { offset } from '../../src/domain/model.ts'
import { createRecordDecoder } from '../../src/ingest/decoder.ts'
import { createTargetReader } from '../../src/kafka/target-reader.ts'
import { createTransactionLaneFactory } from '../../src/kafka/transaction-lane.ts'
import { createLogger } from '../../src/logger.ts'
import { zstdCodec } from '../../src/places/archives/codec.ts'
import type { LogState } from '../../src/ports.ts'
import { createDatabase, type Database } from '../../src/store/database.ts'
import { createStore, type Store } from '../../src/store/store.ts'
import { useBroker } from '../kafka/broker.ts'
import { accepted, eventEntries, type RecordSpec, requestFor } from '../store/entries.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

export const quiet = createLogger({ level: 'error' })

export interface Platform {
  database: TestDatabase
  connections: Database
  store: Store
  deps: ActivityDependencies
}

export function usePlatform(name: string) {
  const plain = useBroker()
  const sources: string[] = []
  const broker = {
    ...plain,
    async makeTopic(partitions = 1, config: Record<string, string> = {}): Promise<string> {
      const topic = await plain.makeTopic(partitions, config)
      sources.push(topic)
      return topic
    },
  }
  const platform = {} as Platform
  beforeAll(async () => {
    platform.database = await createTestDatabase(`replay_${name}`)
    platform.connections = createDatabase({ url: platform.database.appUrl })
    platform.store = createStore(platform.connections)
    const { reader, checkpoints, replays, signingKeys } = platform.store
    platform.deps = {
      log: reader,
      checkpoints,
      replays,
      signingKeys,
      signing: { keys: [], overlapMs: 0 },
      archives: platform.store.archives,
      archivePlace: null,
      archiveCodec: zstdCodec,
      holds: platform.store.holds,
      producers: platform.store.producers,
      instanceName: 'example.com/ingest',
      notes: platform.store.notes,
      places: [],
      checkpointStored: ignore,
      topics: broker.directory,
      lanes: createTransactionLaneFactory(broker.connection),
      targets: createTargetReader(broker.connection),
      settings: {
        createTargets: true,
        concurrency: 4,
        pageEvents: 512,
        pageBytes: 1 << 20,
        sliceMs: 20_000,
        transactionTimeoutMs: 60_000,
        ingestedTopics: [],
      },
      logger: quiet,
      audit: platform.store.audit,
      logs: platform.store.queries,
      verifications: platform.store.verifications,
      verdict: createRecordDecoder(createDecoder({ maxValueBytes: 1 << 30, fastPath: true })),
      observer: {
        pageCommitted: ignore,
        transaction: ignore,
        laneRestarted: ignore,
        leavesVerified: ignore,
        logVerified: ignore,
        notePlaced: ignore,
        noteFailed: ignore,
      },
      now: Date.now,
      randomUuid: randomUUID,
    }
  })
  afterAll(async () => {
    await deleteTargets(plain.kafka, sources)
    await platform.connections?.close()
    await platform.database?.drop()
  })
  return { broker, platform, fill: (options: FillOptions) => fill(platform.store, options) }
}

/** Targets are called after their sources. */
async function deleteTargets(kafka: Kafka, sources: readonly string[]): Promise<void> {
  const admin = kafka.admin()
  await admin.connect()
  const all = await admin.listTopics()
  const topics = all.filter((topic) => sources.some((source) => topic.startsWith(`${source}-`)))
  if (topics.length > 0) await admin.deleteTopics({ topics })
  await admin.disconnect()
}

const ignore = (): void => undefined

export interface FillOptions {
  readonly topic: string
  readonly topicId?: string
  readonly partition?: number
  readonly from?: bigint
  readonly count: number
  readonly specOf?: (offset: bigint) => RecordSpec
  readonly typeOf?: (offset: bigint) => string
}

/** Opens the log of a partition, or goes on with it, and appends events with their true leaves. */
export async function fill(store: Store, options: FillOptions): Promise<LogState> {
  const { topic, partition = 0, specOf = plainSpec, typeOf = () => 'entity.created' } = options
  const topicId = options.topicId ?? randomUUID()
  const start = offset(options.from ?? 0n)
  const log =
    (await store.writer.findLog(topic, partition)) ??
    (await store.writer.openLog({ topic, partition, topicId }, start, 0))
  const first = log.position.nextOffset
  const end = first + BigInt(options.count)
  let { position } = log
  for (let from: bigint = first; from < end; from += 5_000n) {
    const to = from + 5_000n < end ? from + 5_000n : end
    const decoded = (at: bigint) => accepted(at, { type: typeOf(at) })
    const entries = eventEntries(from, to, decoded, specOf).map((entry) => ({
      ...entry,
      leaf: recordLeaf(entry.records, entry.index),
    }))
    const request = requestFor(log, position, entries, to)
    const outcome = await store.writer.append(
      await store.writer.prepare(request),
      async () => log.identity.topicId,
    )
    if (outcome.kind !== 'appended') throw new Error(outcome.kind)
    position = request.next
  }
  return { ...log, position }
}

/** What an event at this offset looks like when nobody says otherwise; recent, so that retention does not matter. */
export const plainSpec = (at: bigint): RecordSpec => ({
  offset: at,
  timestamp: 1_760_000_000_000n + at,
  key: at % 7n === 0n ? null : Buffer.from(`key-${at}`),
  value: Buffer.from(`{"offset":"${at}","text":"${'x'.repeat(Number(at % 300n))}"}`),
})

/** A scope that nobody cancels, or that `signal` does. */
export const scopeOf = (signal: AbortSignal = new AbortController().signal): ActivityScope => ({
  signal,
  report: ignore,
})
