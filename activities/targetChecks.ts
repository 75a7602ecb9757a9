/** Whether a target can take the events of a plan unchanged, and what a target is created with. Pure. */
import type { ErrorCode } from '../src/errors.ts'
import type { LogRangeCount, TopicConfig, TopicDescription } from '../src/ports.ts'

/** A record batch around one record (record format v2). */
const BATCH_OVERHEAD_BYTES = 61
/** Length, attributes, timestamp and offset deltas, key, value and header lengths at their longest. */
const RECORD_OVERHEAD_BYTES = 40
const DEFAULT_MAX_MESSAGE_BYTES = 1_048_588
const MAX_INT64 = 2n ** 63n - 1n

export interface TargetNeeds {
  readonly partitions: number
  /** The largest batch that one record needs. */
  readonly messageBytes: number
  /** Smallest Kafka timestamp, ms; null without events. */
  readonly minTimestamp: bigint | null
}

export interface Refusal {
  readonly code: ErrorCode
  readonly message: string
}

/** What all logs together need; `addedHeaderBytes` is the most that headers grow by. */
export function needsOf(
  logs: readonly { readonly partition: number; readonly count: LogRangeCount }[],
  addedHeaderBytes: number,
): TargetNeeds {
  let partitions = 0
  let recordBytes = 0
  let minTimestamp: bigint | null = null
  for (const { partition, count } of logs) {
    partitions = Math.max(partitions, partition + 1)
    recordBytes = Math.max(recordBytes, count.maxRecordBytes)
    const { minTimestamp: time } = count
    if (time !== null && (minTimestamp === null || time < minTimestamp)) minTimestamp = time
  }
  const messageBytes = recordBytes + addedHeaderBytes + BATCH_OVERHEAD_BYTES + RECORD_OVERHEAD_BYTES
  return { partitions, messageBytes, minTimestamp }
}

/** Why the target cannot be used, or null. */
export function judgeTarget(
  target: TopicDescription,
  config: TopicConfig,
  needs: TargetNeeds,
  nowMs: number,
): Refusal | null {
  const { topic } = target
  if (target.partitions.length < needs.partitions)
    return {
      code: 'TARGET_TOO_FEW_PARTITIONS',
      message: `${topic} has ${target.partitions.length} partitions, ${needs.partitions} are needed`,
    }
  if (config.timestampType !== 'CreateTime')
    return {
      code: 'TARGET_LOG_APPEND_TIME',
      message: `${topic} has message.timestamp.type=LogAppendTime, which replaces the events' timestamps`,
    }
  if (config.cleanupPolicy.includes('compact'))
    return {
      code: 'TARGET_COMPACTED',
      message: `${topic} has cleanup.policy=${config.cleanupPolicy}, which drops events with the same key`,
    }
  if (config.maxMessageBytes < needs.messageBytes)
    return {
      code: 'TARGET_MESSAGE_SIZE',
      message: `${topic} has max.message.bytes=${config.maxMessageBytes}, the largest event needs ${needs.messageBytes}`,
    }
  return judgeAge(topic, config, needs.minTimestamp, nowMs)
}

/** Kafka deletes by record timestamp, and at once. */
function judgeAge(
  topic: string,
  config: TopicConfig,
  minTimestamp: bigint | null,
  nowMs: number,
): Refusal | null {
  if (minTimestamp === null) return null
  const ageMs = BigInt(nowMs) - minTimestamp
  const limits = {
    'retention.ms': config.retentionMs,
    'message.timestamp.before.max.ms': config.timestampBeforeMaxMs,
  }
  for (const [name, limitMs] of Object.entries(limits)) {
    if (limitMs < 0n || ageMs <= limitMs) continue
    const message = `${topic} has ${name}=${limitMs}, the oldest event is ${ageMs} ms old`
    return { code: 'TARGET_RETENTION', message }
  }
  return null
}

/** Takes whatever the source holds, and keeps it. */
export function targetConfig(source: TopicConfig | null, needs: TargetNeeds): Record<string, string> {
  const sourceBytes = source?.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES
  return {
    'cleanup.policy': 'delete',
    'retention.ms': '-1',
    'retention.bytes': '-1',
    'message.timestamp.type': 'CreateTime',
    'message.timestamp.before.max.ms': String(MAX_INT64),
    'message.timestamp.after.max.ms': String(MAX_INT64),
    // The added headers can make a record larger than the source would take.
    'max.message.bytes': String(Math.max(sourceBytes, needs.messageBytes)),
  }
}
