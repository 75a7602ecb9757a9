import { hashToHex } from '../../src/domain/hash.ts'
import { rootOf } from '../../src/domain/merkle.ts'
import { logId } from '../../src/domain/model.ts'
import type { DetachedCount } from '../../src/domain/verification/detachedLeaves.ts'
import { isDamaged } from '../../src/domain/verification/finding.ts'
import { type Progress, type ProgressJson, progressToJson } from '../../src/domain/verification/progress.ts'
import type { DetachedDayView, DetachedView, VerifiedPart } from '../../src/domain/verification/view.ts'
import { ServiceError } from '../../src/errors.ts'
import type { VerifySliceInput } from '../contract.ts'
import type {
  ActivityDependencies,
  ActivityScope,
  ReplaySettings,
  VerificationObserver,
} from '../dependencies.ts'
import { requireStored } from './planVerification.ts'
import { verifySlice } from './verifyLogSlice.ts'

/** Heartbeats carry the place to go on from, so that a worker that is killed loses a second of work. */
const REPORT_MS = 1_000
const UNKNOWN_TOPIC = '?'

export interface SliceDependencies
  extends Pick<ActivityDependencies, 'audit' | 'verdict' | 'now' | 'verifications' | 'logger'> {
  readonly settings: Pick<ReplaySettings, 'sliceMs'>
  readonly observer: VerificationObserver
}

/**
 * Goes on for `sliceMs`, or to the end of the log: then what was found is written down, once. A second attempt goes on
 * from what the one before reported. When the slice is cancelled, or its worker stops, it returns where it stands. Throws
 * VERIFICATION_NOT_FOUND, UNKNOWN_PARTITION, DATABASE_UNAVAILABLE.
 */
export async function verifyLogSlice(
  deps: SliceDependencies,
  scope: ActivityScope,
  { verificationId, logId: id, progress }: VerifySliceInput,
): Promise<ProgressJson> {
  await requireStored(deps, verificationId)
  const deadlineMs = deps.now() + deps.settings.sliceMs
  let reportedMs = 0
  const before = reportedProgress(scope.reported) ?? progress
  if (before !== null) scope.report({ progress: before })
  const after = await verifySlice(deps, id, before, {
    signal: scope.signal,
    due: () => deps.now() >= deadlineMs,
    report: (latest) => {
      if (deps.now() - reportedMs < REPORT_MS) return
      reportedMs = deps.now()
      scope.report({ progress: progressToJson(latest) })
    },
  })
  if (after.done) await record(deps, verificationId, id, after)
  return progressToJson(after)
}

/** Nobody else writes heartbeats of this activity. */
function reportedProgress(reported: unknown): ProgressJson | null {
  if (typeof reported !== 'object' || reported === null || !('progress' in reported)) return null
  return reported.progress as ProgressJson
}

async function record(
  deps: SliceDependencies,
  verificationId: string,
  id: number,
  progress: Progress,
): Promise<void> {
  const { topic, partition, incarnation } = await nameOf(deps, id)
  const { findings, size, counts, blocks, head, endOffset, detached } = progress
  const unknown = findings.counts.missing === undefined ? [] : await deps.audit.unknownDays()
  const [first] = findings.kept
  const part: VerifiedPart = {
    topic,
    partition,
    incarnation,
    verdict: isDamaged(findings) ? 'damaged' : 'intact',
    checked: String(size - detached.leaves),
    counts: {
      events: String(counts.events),
      deadLetters: String(counts.deadLetters),
      gaps: String(counts.gaps),
      unproven: String(counts.unproven),
      checkpoints: String(counts.checkpoints),
    },
    offsetsBehindLastRow: String(head.nextOffset > endOffset ? head.nextOffset - endOffset : 0n),
    ...(detached.leaves > 0n && { detached: await detachedView(deps, id, detached) }),
    ...(unknown.length > 0 && { unknownDetachedDays: unknown }),
    rootHash: hashToHex(rootOf(blocks, size)),
    found: findings.counts,
    ...(first !== undefined && { first }),
    findings: findings.kept,
  }
  await deps.verifications.insertPart(verificationId, logId(id), part)
  deps.observer.logVerified(part.verdict, findings.counts)
  if (first !== undefined) deps.logger.error('a log is damaged', { verificationId, topic, partition, first })
}

/** With the archives that hold what is away, as the database knows them. */
async function detachedView(
  { audit }: Pick<ActivityDependencies, 'audit'>,
  id: number,
  { leaves, days, more }: DetachedCount,
): Promise<DetachedView> {
  const listed: DetachedDayView[] = []
  for (const { detachment, ...day } of days)
    listed.push({ ...day, archives: await audit.archivesOfDetachment(logId(id), detachment) })
  return { leaves: String(leaves), days: listed, more }
}

/** Of a log whose row is gone, as far as anything tells; `UNKNOWN_TOPIC` is no name that a topic can have. */
async function nameOf(
  { audit }: Pick<ActivityDependencies, 'audit'>,
  id: number,
): Promise<Pick<VerifiedPart, 'topic' | 'partition' | 'incarnation'>> {
  const log = await audit.nameOf(logId(id))
  if (log !== null) return log
  const gone = await audit.goneLog(logId(id))
  if (gone === null) throw new ServiceError('UNKNOWN_PARTITION', `there is no log ${id}`)
  return { topic: gone.topic ?? UNKNOWN_TOPIC, partition: gone.partition ?? -1, incarnation: 0 }
}
