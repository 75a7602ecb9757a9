/** What a verification of logs knows about itself between two decisions; plain data and pure functions. */
import type { LogToVerify } from '../activities/contract.ts'
import type { Findings } from '../src/domain/verification/finding.ts'
import type { VerificationProgress, VerificationStatus } from '../src/domain/verification/view.ts'

/** What every kind of slice tells of how far it has come; what else is in it, the next slice knows. */
export interface PartProgress {
  readonly done: boolean
  /** Leaves or records that are behind it. */
  readonly size: string
  /** Those of them that nobody looked at, since they went away with detached days. */
  readonly detached?: { readonly leaves: string }
  readonly findings: Findings
}

export interface LogVerification {
  readonly logId: number
  readonly name: string
  readonly size: string
  phase: 'waiting' | 'running' | 'done'
  damaged: boolean
  checked: string
  /** Where to go on; null before the first slice and after the last. */
  progress: PartProgress | null
}

export interface VerificationState {
  readonly id: string
  /** For people: what is verified. */
  readonly name: string
  logs: LogVerification[]
  status: VerificationStatus
}

/** What a run hands to the next one. */
export interface CarriedVerification {
  readonly id: string
  readonly logs: readonly Pick<LogVerification, 'logId' | 'damaged' | 'checked' | 'progress'>[]
  /** Ids of the logs that are done, among `logs`. */
  readonly done: readonly number[]
}

export function adoptLogs(
  state: VerificationState,
  planned: readonly LogToVerify[],
  carried: CarriedVerification | null,
): void {
  const known = new Map(carried?.logs.map((log) => [log.logId, log]))
  const done = new Set(carried?.done)
  // A log that was opened in between is not part of it.
  const wanted = carried === null ? planned : planned.filter(({ logId }) => known.has(logId))
  state.logs = wanted.map((log) => {
    const before = known.get(log.logId)
    return {
      ...log,
      phase: done.has(log.logId) ? 'done' : 'waiting',
      damaged: before?.damaged ?? false,
      checked: before?.checked ?? '0',
      progress: before?.progress ?? null,
    }
  })
}

export const carry = ({ id, logs }: VerificationState): CarriedVerification => ({
  id,
  logs: logs.map(({ logId, damaged, checked, progress }) => ({ logId, damaged, checked, progress })),
  done: logs.filter(({ phase }) => phase === 'done').map(({ logId }) => logId),
})

export const hasDamage = ({ logs }: VerificationState): boolean => logs.some(({ damaged }) => damaged)

export function progressOf({ id, status, logs }: VerificationState): VerificationProgress {
  const sum = (values: readonly string[]): string =>
    String(values.reduce((total, value) => total + BigInt(value), 0n))
  return {
    id,
    status,
    parts: logs.length,
    partsDone: logs.filter(({ phase }) => phase === 'done').length,
    damaged: logs.filter(({ damaged }) => damaged).length,
    checked: sum(logs.map(({ checked }) => checked)),
    total: sum(logs.map(({ size }) => size)),
    running: logs
      .filter(({ phase }) => phase === 'running')
      .map(({ name, checked, size, progress }) => ({
        name,
        checked,
        total: size,
        found: progress?.findings.counts ?? {},
      })),
  }
}

/** Markdown for Temporal UI. */
export function detailsOf(state: VerificationState): string {
  const { status, parts, partsDone, damaged, checked, total } = progressOf(state)
  return [
    `**${state.name}**: ${status}`,
    `${partsDone} of ${parts} logs, ${checked} of ${total} leaves`,
    ...(damaged > 0 ? [`**${damaged} damaged**: see GET /verifications/${state.id}`] : []),
  ].join('\n\n')
}
