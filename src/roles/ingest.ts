import type { Probe } from '../api/health.ts'
import { createDecoder } from '../domain/decode.ts'
import { remedyFor } from '../ingest/closure.ts'
import { createRecordDecoder } from '../ingest/decoder.ts'
import { startIngest } from '../ingest/ingest.ts'
import type { IngestObserver } from '../ingest/observer.ts'
import { watchProducers } from '../ingest/producers.ts'
import type { TopicIngestSettings } from '../ingest/topic.ts'
import { createSourceConsumerFactory } from '../kafka/source-consumer.ts'
import type { RoleContext, RunningRole } from './context.ts'

/** Kafka answers a fetch after this long even when nothing came. */
const maxWaitMs = 100
/** Some 4 MB of rows in one transaction: enough to make COPY cheap, little enough to keep memory and locks short. */
const maxGroupEvents = 10_000
const maxGroupBytes = 4 << 20

/** Starts ingest of all topics once it is known who must sign; the health of each log goes into `status`. */
export async function startIngestRole(
  context: RoleContext,
  status: IngestStatus,
  signal: AbortSignal,
): Promise<RunningRole> {
  const { config, log, store, kafka, directory } = context
  const { maxValueBytes, fastPath } = config.ingest
  const signatures = await watchProducers(() => store.producers.signatureSources(), log, signal)
  const ingest = startIngest(config.kafka.topics, {
    consumers: createSourceConsumerFactory(kafka, directory),
    writer: store.writer,
    directory,
    observer: status.observe(context.metrics.ingest),
    decode: createRecordDecoder(createDecoder({ maxValueBytes, fastPath, signatures })),
    log,
    settings: settingsOf(context),
  })
  return {
    async stop() {
      await ingest.stop()
      await signatures.stop()
    },
  }
}

function settingsOf({ config }: RoleContext): TopicIngestSettings {
  const { batchMode, batchSize, batchMaxWaitMs } = config.ingest
  return {
    groupId: config.kafka.groupId,
    sessionTimeoutMs: config.kafka.sessionTimeoutMs,
    maxBytesPerPartition: config.kafka.fetchMaxBytes,
    minBytes: 1,
    maxWaitMs,
    lane: {
      batchMode,
      batchSize,
      lingerMs: batchMaxWaitMs,
      maxGroupEvents,
      maxGroupBytes,
      maxQueuedBytes: 3 * config.kafka.fetchMaxBytes,
    },
  }
}

/** Which logs are closed or waiting: what readiness says about ingest. */
export class IngestStatus {
  readonly #closed = new Map<string, string>()
  readonly #waiting = new Map<string, string>()

  /** Passes everything on and remembers what is wrong. */
  observe(next: IngestObserver): IngestObserver {
    const name = (topic: string, partition: number | null): string =>
      partition === null ? topic : `${topic}/${partition}`
    return {
      ...next,
      opened: (topic, partition) => {
        this.#closed.delete(name(topic, partition))
        next.opened(topic, partition)
      },
      released: (topic, partition) => {
        this.#closed.delete(name(topic, partition))
        this.#waiting.delete(name(topic, partition))
        next.released(topic, partition)
      },
      closed: (topic, partition, code, detail) => {
        const command = remedyFor(code, topic, partition)
        this.#closed.set(name(topic, partition), command === null ? code : `${code}: ${command}`)
        next.closed(topic, partition, code, detail)
      },
      waiting: (topic, partition, reason) => {
        if (reason === null) this.#waiting.delete(name(topic, partition))
        else this.#waiting.set(name(topic, partition), reason.code)
        next.waiting(topic, partition, reason)
      },
    }
  }

  /**
   * Not ready while a log is closed or waits; other logs go on all the same. At most ten are named, closed ones with the
   * command that helps.
   */
  readonly probe: Probe = {
    name: 'ingest',
    check: () => {
      const waiting = [...this.#waiting].filter(([log]) => !this.#closed.has(log))
      const troubles = [...this.#closed, ...waiting].slice(0, 10)
      return Promise.resolve({ ready: troubles.length === 0, info: Object.fromEntries(troubles) })
    },
  }
}
