import { measureJavaProducer } from '../limits/javaProducer.ts'
import type { Api } from '../run/api.ts'
import { type CpuPerEvent, measureCpu, peakMemory, resetPeakMemory } from '../run/cpu.ts'
import { RateMeter, type Sample } from '../run/rate.ts'
import type { RoleProcess } from '../run/roles.ts'
import { formatCount, formatRate } from '../run/say.ts'
import { untilReplayEnded } from '../run/untilEnded.ts'
import { offsetCounter, watchUntil } from '../run/watch.ts'
import type { Bed } from './bed.ts'
import { checkpointDatabase, cpuSince } from './ingest.ts'

export interface ReplayMeasure {
  readonly eventsPerSecond: number
  readonly cpu: CpuPerEvent
  readonly peakBytes: number | null
}

/** One replay of the whole log, from its first records on the target to its last. */
export async function measureReplay(
  bed: Bed,
  run: number,
  api: Api,
  worker: RoleProcess,
): Promise<ReplayMeasure> {
  const { world, options, source, say, signal } = bed
  const target = world.topicName(`target-${run}`)
  await checkpointDatabase(bed)
  const pids = { node: worker.pid, postgres: bed.serverPids.postgres, kafka: bed.serverPids.kafka }
  const meter = new RateMeter()
  resetPeakMemory(worker.pid)
  let first: { readonly at: Sample; readonly cpu: (events: number) => CpuPerEvent } | null = null
  const { replayId } = await api.startReplay({ topic: source, targetTopic: target })
  await watchUntil(offsetCounter(world.admin, target), options.events, {
    everyMs: 25,
    patienceMs: 60_000,
    what: 'replay',
    signal,
    check: () => worker.check(),
    onSample: (sample) => {
      meter.add(sample)
      if (sample.count > 0) first ??= { at: sample, cpu: measureCpu(pids) }
      say.progress(`replay ${run}: ${formatCount(sample.count)} of ${formatCount(options.events)}`)
    },
  })
  const cpu = cpuSince(first, options.events)
  await untilReplayEnded(api, replayId, worker, signal)
  const measure = { eventsPerSecond: meter.perSecond(), cpu, peakBytes: peakMemory(worker.pid) }
  say.line(`replay ${run}: ${formatRate(measure.eventsPerSecond)}`)
  await world.admin.deleteTopics({ topics: [target] })
  return measure
}

/** Long enough that a virtual machine's warm-up does not decide. */
const producerRecords = 1_000_000

/** The limit: Kafka's own producer with transactions. Null where there is no Java. */
export async function measureProducer(bed: Bed, run: number): Promise<number | null> {
  const { world, kafkaClasspath: classpath, partitions, say } = bed
  if (classpath === null) return null
  const topic = await world.createTopic(`limit-${run}`, partitions)
  const rate = await measureJavaProducer({
    classpath,
    brokers: world.env.KAFKA_BROKERS,
    topic,
    transactionalId: topic,
    records: producerRecords,
  })
  say.line(`Java producer ${run}: ${formatRate(rate)}`)
  await world.admin.deleteTopics({ topics: [topic] })
  return rate
}
