/** The beginning and the end of a verification, written down. */
import type { VerificationRequest } from '../../src/domain/verification/request.ts'
import type { VerificationView } from '../../src/domain/verification/view.ts'
import { ServiceError } from '../../src/errors.ts'
import type { LogState, QueryStore } from '../../src/ports.ts'
import type { FinishVerificationInput, PlannedVerification, PlanVerificationInput } from '../contract.ts'
import type { ActivityDependencies } from '../dependencies.ts'
import { refuse } from '../ranges.ts'
import { viewOfVerification } from './viewOfVerification.ts'

/** Throws UNKNOWN_TOPIC, UNKNOWN_PARTITION. All logs of an installation that has none are intact. */
export async function logsToVerify(
  logs: Pick<QueryStore, 'allLogs'>,
  { topic, partition, incarnation }: VerificationRequest,
): Promise<readonly LogState[]> {
  const all = await logs.allLogs()
  const ofTopic = topic === undefined ? all : all.filter(({ identity }) => identity.topic === topic)
  if (topic !== undefined && ofTopic.length === 0)
    throw refuse('UNKNOWN_TOPIC', 'topic', `nothing was ingested from ${topic}`)
  const ofPartition =
    partition === undefined ? ofTopic : ofTopic.filter(({ identity }) => identity.partition === partition)
  if (ofPartition.length === 0 && partition !== undefined)
    throw refuse('UNKNOWN_PARTITION', 'partition', `nothing was ingested from this partition of ${topic}`)
  const wanted =
    incarnation === undefined ? ofPartition : ofPartition.filter((log) => log.incarnation === incarnation)
  if (wanted.length === 0 && incarnation !== undefined)
    throw refuse('UNKNOWN_PARTITION', 'incarnation', `there is no incarnation ${incarnation}`)
  return wanted
}

/** Can be repeated: what is stored under the id stays. */
export async function planVerification(
  deps: Pick<ActivityDependencies, 'logs' | 'verifications' | 'settings'>,
  { verificationId, workflowId, request, requestedBy }: PlanVerificationInput,
): Promise<PlannedVerification> {
  const logs = await logsToVerify(deps.logs, request)
  const total = logs.reduce((sum, { position }) => sum + position.size, 0n)
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
  return {
    concurrency: deps.settings.concurrency,
    logs: logs.map((log) => ({ logId: log.logId, name: nameOf(log), size: String(log.position.size) })),
  }
}

const nameOf = ({ identity, incarnation }: LogState): string =>
  incarnation === 1
    ? `${identity.topic}/${identity.partition}`
    : `${identity.topic}/${identity.partition}, incarnation ${incarnation}`

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
