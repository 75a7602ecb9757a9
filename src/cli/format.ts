import { styleText } from 'node:util'
import type { CheckpointView } from '../api/operations.ts'
import type { LogView } from '../domain/logView.ts'
import type { ReplayView } from '../domain/replayView.ts'
import type { Speed } from './meter.ts'

const count = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })

/** Digits in groups; takes decimal strings beyond 2^53 as they are. */
export const formatCount = (value: string | number): string =>
  count.format(typeof value === 'number' ? value : BigInt(value))

export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds))
  if (whole < 60) return `${whole} s`
  const minutes = Math.floor(whole / 60)
  if (minutes < 60) return `${minutes} min ${whole % 60} s`
  return `${formatCount(Math.floor(minutes / 60))} h ${minutes % 60} min`
}

/** 0…1 by positions passed; an empty replay is whole only when it has completed. */
export function fractionOf(view: ReplayView): number {
  const total = Number(view.progress.total)
  if (total === 0) return view.status === 'completed' ? 1 : 0
  return Math.min(1, Number(view.progress.scanned) / total)
}

/** Rounded down: 100.0 % is the end and nothing before it. */
const formatPercent = (fraction: number): string => `${(Math.floor(fraction * 1_000) / 10).toFixed(1)} %`

/** `running  22.5 %  45,000 events  42,118/s  3 s left` */
export function formatProgress(view: ReplayView, speed: Speed): string {
  const parts = [view.status, formatPercent(fractionOf(view)), `${formatCount(view.progress.events)} events`]
  if (view.status === 'running') {
    parts.push(`${formatCount(speed.eventsPerSecond)}/s`)
    if (speed.secondsLeft !== null) parts.push(`${formatDuration(speed.secondsLeft)} left`)
  }
  if (view.status === 'paused') parts.push(`go on with: pnpm replay resume ${view.replayId}`)
  return parts.join('  ')
}

/** One line of at most `columns` characters. */
export function formatBar(view: ReplayView, speed: Speed, columns: number, color: boolean): string {
  const text = formatProgress(view, speed)
  const width = Math.min(30, columns - text.length - 5)
  if (width < 5) return text.slice(0, Math.max(1, columns - 1))
  const full = Math.floor(fractionOf(view) * width)
  const bar = '█'.repeat(full) + '░'.repeat(width - full)
  return `${color ? styleText(view.status === 'paused' ? 'yellow' : 'cyan', bar, { validateStream: false }) : bar}  ${text}`
}

/** What a finished replay hands over, as lines. */
export function formatEnd(view: ReplayView, seconds: number): string[] {
  const events = view.receipt?.events ?? view.progress.events
  const lines = [
    `${view.status}: ${formatCount(events)} events from ${view.topic} to ${view.targetTopic}, watched for ${formatDuration(seconds)}`,
  ]
  for (const log of view.receipt?.logs ?? [])
    lines.push(`  partition ${log.partition}: ${formatCount(log.events)} events, root ${log.rootHash}`)
  return lines
}

/** `events/0  incarnation 2  open  offsets 0 to 500 (exclusive), 500 leaves  topic id …` */
export function formatLog(log: LogView): string {
  const state = log.state === 'closed' ? `closed (${log.code})` : log.state
  return [
    `${log.topic}/${log.partition}`,
    `incarnation ${log.incarnation}`,
    state,
    `offsets ${log.startOffset} to ${log.nextOffset} (exclusive), ${formatCount(log.size)} leaves`,
    `topic id ${log.topicId}`,
  ].join('  ')
}

export function formatCheckpoint(checkpoint: CheckpointView): string[] {
  const of = checkpoint.partition === undefined ? '' : `/${checkpoint.partition}`
  return [
    `checkpoint ${checkpoint.id}`,
    `  of ${checkpoint.topic}${of}, made ${checkpoint.createdAt} by ${checkpoint.createdBy}`,
    ...checkpoint.positions.flatMap(
      ({ partition, offset, size, rootHash, signedBy, heldBy = [], waitsFor = [] }) => [
        `  partition ${partition}: below offset ${offset}, ${formatCount(size)} leaves, root ${rootHash}, ${signedBy.length === 0 ? 'not signed' : `signed by ${signedBy.join(' and ')}`}`,
        ...heldBy.map(({ place, outcome, at, detail }) => `    ${outcome} at ${place}, ${at}${tail(detail)}`),
        ...waitsFor.map(
          ({ place, failure }) => `    waits for ${place}${failure === undefined ? '' : why(failure)}`,
        ),
      ],
    ),
  ]
}

const tail = (detail: string | undefined): string => (detail === undefined ? '' : `: ${detail}`)

const why = ({ code, detail, since }: { code: string; detail: string; since: string }): string =>
  `, refused since ${since}: ${code}: ${detail}`
