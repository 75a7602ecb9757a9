/** Freezes what a replay will do. */
import { hashToHex } from '../src/domain/hash.ts'
import { planHash } from '../src/domain/planHash.ts'
import type { ReplayLogPlan, ReplayPlan } from '../src/domain/replay.ts'
import { normaliseReplayRequest, sameReplayRequest } from '../src/domain/replayRequest.ts'
import { hasEnded } from '../src/domain/replayView.ts'
import { isErrorCode, ServiceError } from '../src/errors.ts'
import type { ReplayRecord, TopicDescription } from '../src/ports.ts'
import { type CheckedReplay, checkReplay } from './checkReplay.ts'
import type { PlanInput, PlannedReplay, ReplayEnd } from './contract.ts'
import type { ActivityDependencies, ActivityScope } from './dependencies.ts'
import { targetConfig } from './targetChecks.ts'

/**
 * The same id with the same request is the same replay, however often it is planned. Throws REPLAY_ID_REUSED when the
 * id is another request's, REPLAY_NOT_FOUND for one that goes on, and what `checkReplay` throws.
 */
export async function planReplay(
  deps: ActivityDependencies,
  scope: ActivityScope,
  { replayId, request, requestedBy, goesOn }: PlanInput,
): Promise<PlannedReplay> {
  const known = await deps.replays.getReplay(replayId)
  // A new plan would begin anew, on a target that has some of it already.
  if (known === null && goesOn === true)
    throw new ServiceError(
      'REPLAY_NOT_FOUND',
      `the replay ${replayId} is not in this database: it was begun in another one. Start a new one, into a new target`,
    )
  const record = known ?? (await makePlan(deps, scope, { replayId, request, requestedBy }))
  if (!sameReplayRequest(record.plan.request, request))
    throw new ServiceError('REPLAY_ID_REUSED', `the replay ${replayId} exists with another request`)
  return present(record, deps.settings.concurrency)
}

async function makePlan(
  deps: ActivityDependencies,
  scope: ActivityScope,
  input: PlanInput,
): Promise<ReplayRecord> {
  const checked = await checkReplay(deps, input.replayId, input.request, scope.signal)
  const target = checked.target ?? (await createTarget(deps, checked, input.request.topic, scope.signal))
  const request = normaliseReplayRequest(input.request)
  const plan: Omit<ReplayPlan, 'planHash'> = {
    replayId: input.replayId,
    planId: deps.randomUuid(),
    request,
    topic: request.topic,
    targetTopic: checked.targetTopic,
    targetTopicId: target.topicId,
    filters: request.filters ?? {},
    checkpointId: request.checkpointId ?? null,
    logs: checked.ranges.map(
      ({ log, from, to, count }): ReplayLogPlan => ({
        logId: log.logId,
        partition: log.identity.partition,
        from,
        to,
        planned: count.planned,
        targetPartition: log.identity.partition,
      }),
    ),
  }
  return await deps.replays.insertPlan({ ...plan, planHash: planHash(plan) }, input.requestedBy)
}

/** With the source's partitions, or as many as the plan needs when the source is gone. */
async function createTarget(
  { topics, logger }: ActivityDependencies,
  { targetTopic, needs }: CheckedReplay,
  topic: string,
  signal: AbortSignal,
): Promise<TopicDescription> {
  const source = await topics.describe(topic, signal)
  const config = targetConfig(source === null ? null : await topics.config(topic), needs)
  const partitions = Math.max(source?.partitions.length ?? 0, needs.partitions)
  const created = await topics.create(targetTopic, partitions, config)
  logger.info('the target topic was created', { targetTopic, partitions })
  return created
}

function present(record: ReplayRecord, concurrency: number): PlannedReplay {
  const { plan, status } = record
  return {
    planId: plan.planId,
    targetTopic: plan.targetTopic,
    concurrency,
    logs: plan.logs.map(({ logId, partition, from, to, planned }) => ({
      logId,
      partition,
      from: String(from),
      to: String(to),
      planned: String(planned),
    })),
    ended: hasEnded(status) ? endOf(record) : null,
  }
}

function endOf({ status, receipt, error }: ReplayRecord): ReplayEnd {
  return {
    status,
    ...(receipt !== null && {
      receipt: {
        events: String(receipt.events),
        logs: receipt.logs.map(({ partition, events, rootHash }) => ({
          partition,
          events: String(events),
          rootHash: hashToHex(rootHash),
        })),
      },
    }),
    ...(error !== null && {
      error: { code: isErrorCode(error.code) ? error.code : 'INTERNAL', detail: error.detail },
    }),
  }
}
