import type { VerificationView } from '../../src/domain/verification/view.ts'
import type { VerificationRecord } from '../../src/ports.ts'

/** A verification as the store knows it. */
export function viewOfVerification(record: VerificationRecord): VerificationView {
  const { id, workflowId, kind, request, result } = record
  const checked = record.verified.reduce((sum, part) => sum + BigInt(part.checked), 0n)
  const detached = record.verified.reduce((sum, part) => sum + BigInt(part.detached?.leaves ?? 0), 0n)
  return {
    id,
    workflowId,
    kind,
    status: result?.verdict ?? 'running',
    request,
    createdAt: record.createdAt.toISOString(),
    createdBy: record.createdBy,
    ...(result !== null && { finishedAt: result.finishedAt.toISOString() }),
    progress: {
      parts: record.parts,
      partsDone: record.partsDone,
      checked: String(checked),
      ...(detached > 0n && { detached: String(detached) }),
      total: String(record.total),
    },
    damaged: record.damaged,
    parts: record.verified,
    ...(result !== null && result.error !== null && { error: result.error }),
  }
}
