/** Reads a target back and compares it with a replay's plan and receipt (docs/evidence.md, "Verification of a replay"). */
import { hashToHex } from '../../src/domain/hash.ts'
import { rootOf } from '../../src/domain/merkle.ts'
import { offset } from '../../src/domain/model.ts'
import { hasEnded } from '../../src/domain/replayView.ts'
import { addFindings, type Finding, isDamaged } from '../../src/domain/verification/finding.ts'
import {
  startOfTarget,
  type TargetProgress,
  type TargetProgressJson,
  targetFromJson,
  targetToJson,
} from '../../src/domain/verification/targetProgress.ts'
import type { VerifiedPart } from '../../src/domain/verification/view.ts'
import { ServiceError } from '../../src/errors.ts'
import type { ReplayLogRecord, ReplayRecord, ReplayStore } from '../../src/ports.ts'
import type { PlannedVerification, PlanReplayVerificationInput, VerifyReplaySliceInput } from '../contract.ts'
import type { ActivityDependencies, ActivityScope } from '../dependencies.ts'
import { loadWork, type PlannedLogWork } from '../lane.ts'
import { requireTarget } from '../target.ts'
import { plannedEvents } from './plannedEvents.ts'
import { requireStored } from './planVerification.ts'
import { originReader } from './producedRecord.ts'
import { TargetComparison } from './targetComparison.ts'

const REPORT_MS = 1_000

/** Throws REPLAY_NOT_FOUND, REPLAY_RUNNING. */
export async function endedReplay(
  { replays }: { readonly replays: Pick<ReplayStore, 'getReplay'> },
  replayId: string,
): Promise<ReplayRecord> {
  const record = await replays.getReplay(replayId)
  if (record === null)
    throw new ServiceError('REPLAY_NOT_FOUND', `there is no replay ${replayId} with a plan`)
  if (!hasEnded(record.status))
    throw new ServiceError(
      'REPLAY_RUNNING',
      `the replay ${replayId} is ${record.status}: it can be verified when it is over`,
    )
  return record
}

/** Can be repeated. Throws VERIFICATION_NOT_FOUND for one that goes on, REPLAY_NOT_FOUND, REPLAY_RUNNING, TARGET_MISSING, TARGET_RECREATED. */
export async function planReplayVerification(
  deps: Pick<ActivityDependencies, 'replays' | 'topics' | 'verifications' | 'settings'>,
  { verificationId, workflowId, replayId, requestedBy, goesOn }: PlanReplayVerificationInput,
): Promise<PlannedVerification> {
  if (goesOn === true) await requireStored(deps, verificationId)
  const { plan, logs } = await endedReplay(deps, replayId)
  await requireTarget(deps.topics, plan)
  const stored = await deps.verifications.insertVerification({
    id: verificationId,
    kind: 'replay',
    workflowId,
    request: { replayId },
    parts: logs.length,
    total: logs.reduce((sum, { events }) => sum + events, 0n),
    createdBy: requestedBy,
  })
  if (stored.workflowId !== workflowId)
    throw new ServiceError(
      'BAD_REQUEST',
      `workflowId: the verification ${verificationId} is another workflow's`,
    )
  return {
    concurrency: deps.settings.concurrency,
    logs: logs.map(({ logId, partition, targetPartition, events }) => ({
      logId,
      name: `${plan.topic}/${partition} → ${plan.targetTopic}/${targetPartition}`,
      size: String(events),
    })),
  }
}

/**
 * Goes on for `sliceMs`, or to the end of the target as it was when it began: then what was found is written down, once.
 * Throws VERIFICATION_NOT_FOUND, REPLAY_NOT_FOUND, REPLAY_RUNNING, TARGET_MISSING, TARGET_RECREATED, LOG_DAMAGED,
 * KAFKA_UNAVAILABLE, DATABASE_UNAVAILABLE.
 */
export async function verifyReplaySlice(
  deps: ActivityDependencies,
  scope: ActivityScope,
  { verificationId, replayId, logId, progress }: VerifyReplaySliceInput,
): Promise<TargetProgressJson> {
  await requireStored(deps, verificationId)
  const record = await endedReplay(deps, replayId)
  const work = await loadWork(deps.replays, record.plan.planId, logId)
  await requireTarget(deps.topics, work.plan)
  const before = reportedProgress(scope.reported) ?? progress
  const known = before === null ? startOfTarget(work.log.from) : targetFromJson(before)
  const after = known.done ? known : await compare(deps, scope, work, known)
  if (after.done) await store(deps, verificationId, work, after)
  return targetToJson(after)
}

/** Nobody else writes heartbeats of this activity. */
function reportedProgress(reported: unknown): TargetProgressJson | null {
  if (typeof reported !== 'object' || reported === null || !('progress' in reported)) return null
  return reported.progress as TargetProgressJson
}

async function compare(
  deps: ActivityDependencies,
  scope: ActivityScope,
  work: PlannedLogWork,
  before: TargetProgress,
): Promise<TargetProgress> {
  const deadlineMs = deps.now() + deps.settings.sliceMs
  let reportedMs = 0
  const { plan, log } = work
  const { pageEvents: maxEvents, pageBytes: maxBytes } = deps.settings
  // Only what was committed: a cancelled replay leaves a prefix.
  const events = plannedEvents(deps.log, work, before.source, log.cursor, { maxEvents, maxBytes })
  const place = { topic: plan.targetTopic, partition: log.targetPartition }
  const end = before.end === null ? null : offset(before.end)
  const scan = await deps.targets.scan(place, offset(before.target), end, scope.signal)
  try {
    let progress: TargetProgress = {
      ...before,
      end: scan.end,
      start: before.end === null ? scan.start : before.start,
    }
    const comparison = new TargetComparison(progress, events, originReader(work))
    for (;;) {
      if (scope.signal.aborted || (deps.now() >= deadlineMs && progress.target > before.target))
        return progress
      const read = await scan.next()
      if (read === null) return conclude(progress, await comparison.missing(), log)
      const grown = await comparison.take(read.records, read.next)
      deps.observer.leavesVerified(Number(grown.produced - progress.produced))
      progress = grown
      if (deps.now() - reportedMs >= REPORT_MS) {
        reportedMs = deps.now()
        scope.report({ progress: targetToJson(progress) })
      }
    }
  } finally {
    scan.close()
  }
}

function conclude(
  progress: TargetProgress,
  missing: { readonly first: bigint | null; readonly count: bigint },
  { rootHash, events }: ReplayLogRecord,
): TargetProgress {
  const found: Finding[] = []
  const about = { leafIndex: null, count: '1' } as const
  if (missing.count > 0n) {
    const cut =
      progress.start > 0n ? `; Kafka has nothing below the target's offset ${progress.start} any more` : ''
    const detail = `planned events are not on the target${cut}`
    const offset = missing.first === null ? null : String(missing.first)
    found.push({ kind: 'missing', ...about, offset, count: String(missing.count), detail })
  }
  const root = rootOf(progress.frontier, progress.produced)
  const differs = rootHash !== null && (root !== rootHash || events !== progress.produced)
  if (differs && missing.count === 0n && !isDamaged(progress.findings)) {
    const detail = 'the records are as the log has them, but the receipt has another root or count'
    found.push({ kind: 'root', ...about, offset: null, detail })
  }
  return { ...progress, findings: addFindings(progress.findings, found), done: true }
}

async function store(
  deps: ActivityDependencies,
  verificationId: string,
  { plan, log }: PlannedLogWork,
  progress: TargetProgress,
): Promise<void> {
  const state = await deps.log.logById(log.logId)
  const { findings, produced, frontier } = progress
  const [first] = findings.kept
  const part: VerifiedPart = {
    topic: plan.topic,
    partition: log.partition,
    incarnation: state?.incarnation ?? 1,
    verdict: isDamaged(findings) ? 'damaged' : 'intact',
    checked: String(produced),
    counts: {
      planned: String(log.planned),
      committed: String(log.events),
      matched: String(progress.matched),
      foreign: String(progress.foreign),
      ...(progress.firstForeign !== null && { firstForeignOffset: String(progress.firstForeign) }),
    },
    rootHash: hashToHex(rootOf(frontier, produced)),
    found: findings.counts,
    ...(first !== undefined && { first }),
    findings: findings.kept,
  }
  await deps.verifications.insertPart(verificationId, log.logId, part)
  deps.observer.logVerified(part.verdict, findings.counts)
  if (first !== undefined)
    deps.logger.error('a replay is not as it was planned', { verificationId, replayId: plan.replayId, first })
}
