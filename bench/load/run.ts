import { setTimeout as sleep } from 'node:timers/promises'
import kafkajs, { type Admin } from 'kafkajs'
import { formatCount, type Say } from '../run/say.ts'
import { createTopic } from '../run/topics.ts'
import { BatchProducer } from '../source/producer.ts'
import { type CommitSource, openCommitSource } from './commits.ts'
import { Ledger } from './ledger.ts'
import type { LoadOptions } from './options.ts'
import { produceAtRate } from './produce.ts'
import type { LoadResult } from './report.ts'

const newTopicPartitions = 4
/** After the last event was sent the log gets this long between one commit and the next. */
const drainPatienceMs = 10_000

/** Produces at the target rate and watches the log take it. `seed` must differ from run to run: ids are made of it. */
export async function runLoad(
  options: LoadOptions,
  seed: number,
  say: Say,
  signal: AbortSignal,
): Promise<LoadResult> {
  const kafka = new kafkajs.Kafka({
    clientId: 'load-test',
    brokers: [...options.brokers],
    logLevel: kafkajs.logLevel.NOTHING,
    connectionTimeout: 10_000,
  })
  const admin = kafka.admin()
  await admin.connect()
  let commits: CommitSource | null = null
  let producer: BatchProducer | null = null
  try {
    await ensureTopic(admin, options.topic, say)
    producer = await BatchProducer.connect(admin, options.topic)
    commits = await openCommitSource(options, admin)
    say.line(`commits are seen through ${commits.name}`)
    const ledger = new Ledger()
    const watching = new AbortController()
    const watch = watchCommits(commits, ledger, options, say, watching.signal)
    const { sent, startedMs } = await produceAtRate(producer, options, seed, ledger, signal)
    const endedMs = performance.now()
    await Promise.race([drain(ledger, sent, signal), watch])
    watching.abort()
    await watch
    return { options, ledger, sent, startedMs, endedMs, interrupted: signal.aborted }
  } finally {
    producer?.close()
    await Promise.allSettled([admin.disconnect(), commits?.close()])
  }
}

async function ensureTopic(admin: Admin, topic: string, say: Say): Promise<void> {
  if ((await admin.listTopics()).includes(topic)) return
  say.line(`making the topic ${topic} with ${newTopicPartitions} partitions`)
  await createTopic(admin, topic, newTopicPartitions, {})
}

/** Runs until it is told to stop; rejects when the source of commits fails. */
async function watchCommits(
  commits: CommitSource,
  ledger: Ledger,
  options: LoadOptions,
  say: Say,
  signal: AbortSignal,
): Promise<void> {
  const total = formatCount(options.eventsPerSecond * options.seconds)
  while (!signal.aborted) {
    const next = await commits.read()
    const nowMs = performance.now()
    for (const [partition, offset] of next) ledger.advance(partition, offset, nowMs)
    say.progress(
      `produced ${formatCount(ledger.acknowledged)}, committed ${formatCount(ledger.committed)} of ${total}`,
    )
    await sleep(commits.everyMs, undefined, { signal }).catch(() => undefined)
  }
}

async function drain(ledger: Ledger, sent: number, signal: AbortSignal): Promise<void> {
  let seen = ledger.committed
  let progressMs = performance.now()
  while (seen < sent && performance.now() - progressMs < drainPatienceMs && !signal.aborted) {
    await sleep(5)
    if (ledger.committed === seen) continue
    seen = ledger.committed
    progressMs = performance.now()
  }
}
