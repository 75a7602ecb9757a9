import type { CpuPerEvent } from '../run/cpu.ts'
import { median } from '../run/rate.ts'
import { formatCount } from '../run/say.ts'
import type { IngestMeasure } from './ingest.ts'
import type { Machine } from './machine.ts'
import type { ReplayMeasure } from './replay.ts'

export interface Measured {
  readonly events: number
  readonly machine: Machine
  readonly ingest: readonly IngestMeasure[]
  readonly copy: readonly number[]
  readonly replay: readonly ReplayMeasure[]
  readonly producer: readonly number[]
}

/** Medians; a ratio is the median of the ratios of runs that followed each other. */
export interface BenchReport {
  readonly date: string
  readonly events: number
  readonly repeat: number
  readonly machine: Machine
  readonly ingest: {
    readonly eventsPerSecond: number
    readonly copyEventsPerSecond: number
    readonly ratioToCopy: number
    readonly nodeCpuMicrosPerEvent: number | null
    readonly postgresCpuMicrosPerEvent: number | null
    readonly kafkaCpuMicrosPerEvent: number | null
    readonly peakMemoryMiB: number | null
    readonly runs: readonly number[]
    readonly copyRuns: readonly number[]
  }
  readonly replay: {
    readonly eventsPerSecond: number
    /** Null without Java. */
    readonly javaProducerEventsPerSecond: number | null
    readonly ratioToJavaProducer: number | null
    readonly nodeCpuMicrosPerEvent: number | null
    readonly postgresCpuMicrosPerEvent: number | null
    readonly kafkaCpuMicrosPerEvent: number | null
    readonly peakMemoryMiB: number | null
    readonly runs: readonly number[]
    readonly javaProducerRuns: readonly number[]
  }
}

export function summarise(measured: Measured, date: string): BenchReport {
  const { ingest, copy, replay, producer } = measured
  const ingestRuns = ingest.map(({ eventsPerSecond }) => eventsPerSecond)
  const replayRuns = replay.map(({ eventsPerSecond }) => eventsPerSecond)
  return {
    date,
    events: measured.events,
    repeat: ingest.length,
    machine: measured.machine,
    ingest: {
      eventsPerSecond: Math.round(median(ingestRuns)),
      copyEventsPerSecond: Math.round(median(copy)),
      ratioToCopy: round(ratio(ingestRuns, copy), 3),
      ...cpuOf(ingest.map(({ cpu }) => cpu)),
      peakMemoryMiB: peakOf(ingest),
      runs: ingestRuns.map(Math.round),
      copyRuns: copy.map(Math.round),
    },
    replay: {
      eventsPerSecond: Math.round(median(replayRuns)),
      javaProducerEventsPerSecond: producer.length === 0 ? null : Math.round(median(producer)),
      ratioToJavaProducer: producer.length === 0 ? null : round(ratio(replayRuns, producer), 3),
      ...cpuOf(replay.map(({ cpu }) => cpu)),
      peakMemoryMiB: peakOf(replay),
      runs: replayRuns.map(Math.round),
      javaProducerRuns: producer.map(Math.round),
    },
  }
}

const ratio = (runs: readonly number[], limits: readonly number[]): number =>
  median(runs.map((run, index) => run / (limits[index] ?? Number.NaN)))

function cpuOf(runs: readonly CpuPerEvent[]) {
  const middle = (name: string): number | null => {
    const known = runs.map((run) => run[name] ?? null).filter((value) => value !== null)
    return known.length === 0 ? null : round(median(known), 2)
  }
  return {
    nodeCpuMicrosPerEvent: middle('node'),
    postgresCpuMicrosPerEvent: middle('postgres'),
    kafkaCpuMicrosPerEvent: middle('kafka'),
  }
}

function peakOf(runs: readonly { readonly peakBytes: number | null }[]): number | null {
  const known = runs.map(({ peakBytes }) => peakBytes).filter((bytes) => bytes !== null)
  return known.length === 0 ? null : Math.round(Math.max(...known) / 2 ** 20)
}

const round = (value: number, digits: number): number => Number(value.toFixed(digits))

export function formatBench({ ingest, replay, machine, events, repeat }: BenchReport): string {
  const { cores, cpu, memoryGiB, node, postgres, kafka } = machine
  const versions = `Node ${node}, PostgreSQL ${postgres}, Kafka ${kafka ?? 'of another installation'}`
  const rows = [
    ['', 'ingest', 'replay'],
    ['events/s', formatCount(ingest.eventsPerSecond), formatCount(replay.eventsPerSecond)],
    ['limit', 'COPY, two connections', "Java's transactional producer"],
    ['  events/s', formatCount(ingest.copyEventsPerSecond), show(replay.javaProducerEventsPerSecond)],
    ['ratio to the limit', ingest.ratioToCopy.toFixed(2), replay.ratioToJavaProducer?.toFixed(2) ?? '—'],
    ['CPU µs/event, Node', show(ingest.nodeCpuMicrosPerEvent, 1), show(replay.nodeCpuMicrosPerEvent, 1)],
    ['  PostgreSQL', show(ingest.postgresCpuMicrosPerEvent, 1), show(replay.postgresCpuMicrosPerEvent, 1)],
    ['  Kafka', show(ingest.kafkaCpuMicrosPerEvent, 1), show(replay.kafkaCpuMicrosPerEvent, 1)],
    ['peak memory, MiB', show(ingest.peakMemoryMiB), show(replay.peakMemoryMiB)],
  ]
  const table = rows.map(([label = '', left = '', right = '']) =>
    `  ${label.padEnd(20)}${left.padEnd(24)}${right}`.trimEnd(),
  )
  return [
    ...table,
    '',
    `  ${formatCount(events)} events of about 370 bytes, median of ${repeat}`,
    `  ${cores} cores (${cpu}), ${memoryGiB} GiB, ${versions}`,
  ].join('\n')
}

const show = (value: number | null, digits = 0): string =>
  value === null ? '—' : digits === 0 ? formatCount(value) : value.toFixed(digits)
