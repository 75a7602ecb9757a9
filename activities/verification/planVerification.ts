/** The beginning and the end of a verification, written down. */
import type { VerificationRequest } from '../../src/domain/verification/request.ts'
import type { NamedLog } from '../../src/domain/verification/stored.ts'
import type { VerificationView } from '../../src/domain/verification/view.ts'
import { ServiceError } from '../../src/errors.ts'
import type { QueryStore } from '../../src/ports.ts'
import type {
  FinishVerificationInput,
  LogToVerify,
  PlannedVerification,
  PlanVerificationInput,
} from '../contract.ts'
import type { ActivityDependencies } from '../dependencies.ts'
import { logsOfRequest } from '../logsOfRequest.ts'
import { viewOfVerification } from './viewOfVerification.ts'

/**
 * Logs whose own row is gone are among them: those of which nothing tells the topic belong to a request for all. Throws
 * UNKNOWN_TOPIC, UNKNOWN_PARTITION. All logs of an installation that has none are intact.
 */
export async function logsToVerify(
  logs: Pick<QueryStore, 'namedLogs' | 'goneLogs'>,
  request: VerificationRequest,
): Promise<readonly LogToVerify[]> {
  const named = (await logs.namedLogs()).map((log) => ({ ...log, name: nameOf(log) }))
  const gone = (await logs.goneLogs()).map((log) => ({
    ...log,
    ...{ name: `the log ${log.logId}, which has no row`, size: 0n, incarnation: null },
  }))
  const wanted = logsOfRequest([...named, ...gone], (log) => log, request)
  return wanted.map(({ logId, name, size }) => ({ logId, name, size: String(size) }))
}

/**
 * What was begun is stored, and what goes on by ids of logs goes on only where that is so: in a database that was recovered, or
 * restored, they are ids of others. Throws VERIFICATION_NOT_FOUND.
 */
export async function requireStored(
  { verifications }: Pick<ActivityDependencies, 'verifications'>,
  id: string,
): Promise<void> {
  if (await verifications.hasVerification(id)) return
  throw new ServiceError(
    'VERIFICATION_NOT_FOUND',
    `the verification ${id} is not in this database: it was begun in another one. Start a new one`,
  )
}

/** Can be repeated: what is stored under the id stays. Throws VERIFICATION_NOT_FOUND for one that goes on. */
export async function planVerification(
  deps: Pick<ActivityDependencies, 'logs' | 'verifications' | 'settings'>,
  { verificationId, workflowId, request, requestedBy, goesOn }: PlanVerificationInput,
): Promise<PlannedVerification> {
  if (goesOn === true) await requireStored(deps, verificationId)
  const logs = await logsToVerify(deps.logs, request)
  const total = logs.reduce((sum, { size }) => sum + BigInt(size), 0n)
  const stored = await deps.verifications.insertVerification({
    id: verificationId,
    kind: 'log',
    workflowId,
    request,
    parts: logs.length,
    total,
    createdBy: requestedBy,
  })
  if (stored.workflowId !== workflowId)
    throw new ServiceError(
      'BAD_REQUEST',
      `workflowId: the verification ${verificationId} is another workflow's`,
    )
  return { concurrency: deps.settings.concurrency, logs }
}

const nameOf = ({ topic, partition, incarnation }: NamedLog): string =>
  incarnation === 1 ? `${topic}/${partition}` : `${topic}/${partition}, incarnation ${incarnation}`

/** An end that is there already stays. Throws VERIFICATION_NOT_FOUND. */
export async function finishVerification(
  { verifications }: Pick<ActivityDependencies, 'verifications'>,
  { verificationId, verdict, error }: FinishVerificationInput,
): Promise<VerificationView> {
  if ((await verifications.getVerification(verificationId)) !== null)
    await verifications.insertResult(verificationId, verdict, error)
  const record = await verifications.getVerification(verificationId)
  if (record === null)
    throw new ServiceError('VERIFICATION_NOT_FOUND', `there is no verification ${verificationId}`)
  return viewOfVerification(record)
}
