import type { InferSelectModel } from 'drizzle-orm'
import type { replayLogs, replays } from '../../drizzle/schema.ts'
import { hashFromBytes, hashFromHex, hashToHex } from '../domain/hash.ts'
import { logId, offset } from '../domain/model.ts'
import {
  type EventFilters,
  type ReplayReceipt,
  type ReplayRequest,
  type ReplayStatus,
  replayStatuses,
} from '../domain/replay.ts'
import { ServiceError } from '../errors.ts'
import type { ReplayLogRecord, ReplayRecord } from '../ports.ts'

/** A receipt as it stands in the table: numbers as text, hashes as hex. */
interface ReceiptJson {
  readonly events: string
  readonly logs: readonly { readonly partition: number; readonly events: string; readonly rootHash: string }[]
}

export const receiptToJson = (receipt: ReplayReceipt): ReceiptJson => ({
  events: receipt.events.toString(),
  logs: receipt.logs.map(({ partition, events, rootHash }) => ({
    partition,
    events: events.toString(),
    rootHash: hashToHex(rootHash),
  })),
})

const receiptFromJson = (json: ReceiptJson): ReplayReceipt => ({
  events: BigInt(json.events),
  logs: json.logs.map(({ partition, events, rootHash }) => ({
    partition,
    events: BigInt(events),
    rootHash: hashFromHex(rootHash),
  })),
})

/** The JSON columns are written by this module's callers alone: their shape is what went in. */
export function replayRecord(
  row: InferSelectModel<typeof replays>,
  logs: readonly InferSelectModel<typeof replayLogs>[],
): ReplayRecord {
  return {
    plan: {
      replayId: row.replayId,
      planId: row.planId,
      planHash: row.planHash,
      request: row.request as ReplayRequest,
      topic: row.topic,
      targetTopic: row.targetTopic,
      targetTopicId: row.targetTopicId,
      filters: row.filters as EventFilters,
      checkpointId: row.checkpointId,
      logs: logs.map((log) => ({
        logId: logId(log.logId),
        partition: log.partition,
        from: offset(log.fromOffset),
        to: offset(log.toOffset),
        planned: log.planned,
        targetPartition: log.targetPartition,
      })),
    },
    status: statusOf(row.status),
    createdAt: row.createdAt,
    createdBy: row.createdBy,
    logs: logs.map(logRecord),
    receipt: row.receipt === null ? null : receiptFromJson(row.receipt as ReceiptJson),
    error: row.errorCode === null ? null : { code: row.errorCode, detail: row.errorDetail ?? '' },
  }
}

const logRecord = (log: InferSelectModel<typeof replayLogs>): ReplayLogRecord => ({
  logId: logId(log.logId),
  partition: log.partition,
  from: offset(log.fromOffset),
  to: offset(log.toOffset),
  planned: log.planned,
  targetPartition: log.targetPartition,
  started: log.started,
  cursor: offset(log.cursor),
  events: log.events,
  rootHash: log.rootHash === null ? null : hashFromBytes(log.rootHash),
})

function statusOf(text: string): ReplayStatus {
  const status = replayStatuses.find((each) => each === text)
  if (status === undefined)
    throw new ServiceError('INTERNAL', 'A replay has a status that this version does not know')
  return status
}
