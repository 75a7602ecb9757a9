/** Names of verifications: the workflows `verify-log/<uuid>` and `verify-replay/<uuid>`. Free of Node's modules, since workflows import it. */
import type { VerificationKind } from './view.ts'

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

export const workflowIdOfVerification = (kind: VerificationKind, id: string): string => `verify-${kind}/${id}`

/** The UUID in a workflow id; null when it holds none, as those that a Schedule starts. */
export function verificationIdOfWorkflowId(kind: VerificationKind, workflowId: string): string | null {
  const prefix = `verify-${kind}/`
  const id = workflowId.slice(prefix.length)
  return workflowId.startsWith(prefix) && uuid.test(id) ? id.toLowerCase() : null
}
