import { nameInAddress } from '../domain/archive/place.ts'
import type { ArchiveView } from '../domain/archive/view.ts'
import { hashToHex } from '../domain/hash.ts'
import type { ArchiveRecord } from '../ports.ts'

const MAX_LOGS = 1_000

/** An archive as the store knows it. */
export function viewOfArchive(record: ArchiveRecord): ArchiveView {
  const { id, workflowId, request, place, totals, result, logs } = record
  return {
    ...{
      id,
      workflowId,
      status: result?.status ?? 'running',
      request,
      place: `${nameInAddress(place)}/${id}`,
    },
    createdAt: record.createdAt.toISOString(),
    createdBy: record.createdBy,
    ...(result !== null && { finishedAt: result.finishedAt.toISOString() }),
    progress: {
      logs: totals.logs,
      leaves: String(totals.leaves),
      written: String(totals.written),
      files: totals.files,
      bytes: String(totals.bytes),
    },
    logs: logs.slice(0, MAX_LOGS).map((log) => ({
      ...{ topic: log.identity.topic, partition: log.identity.partition, incarnation: log.incarnation },
      fromLeaf: String(log.fromLeaf),
      toLeaf: String(log.toLeaf),
      fromOffset: String(log.fromOffset),
      toOffset: String(log.toOffset),
      rootHash: hashToHex(log.rootHash),
      written: String(log.written),
    })),
    ...(result !== null && result.manifestHash !== null && { manifestHash: hashToHex(result.manifestHash) }),
    ...(result !== null && result.error !== null && { error: result.error }),
  }
}
