/** What an archive knows about itself between two decisions; plain data and pure functions. */
import type { PlannedArchive, VerifyArchiveResult } from '../activities/contract.ts'
import type { ArchiveProgress, ArchiveStatus } from '../src/domain/archive/view.ts'

export interface PartState {
  readonly logId: number
  readonly name: string
  readonly fromLeaf: string
  readonly toLeaf: string
  /** Leaf behind the last one that lies in a file. */
  writtenLeaf: string
  written: boolean
  /** How far it was read back; null before the first slice. */
  position: VerifyArchiveResult['position'] | null
  verified: boolean
}

export interface ArchiveState {
  readonly id: string
  /** For people: what is archived. */
  readonly name: string
  phase: ArchiveProgress['phase']
  status: ArchiveStatus
  parts: PartState[]
  /** Of the manifest that was written. */
  manifestHash: string | null
  /** The checkpoint that was made for it; null when none was needed. */
  checkpointId: string | null
  planned: boolean
}

/**
 * What a run hands to the next one. Temporal takes 2 MiB, and a topic may have thousands of logs: only of those that are being
 * worked on, a few at a time, there is more to say than a number.
 */
export interface CarriedArchive {
  readonly id: string
  readonly manifestHash: string | null
  readonly checkpointId: string | null
  /** Logs that are written or, when there is a manifest, read back. Older runs said it in `parts`, of each. */
  readonly done?: readonly number[]
  /** Those that were begun, and are not done. */
  readonly parts: readonly Omit<PartState, 'name' | 'fromLeaf' | 'toLeaf'>[]
}

export function adoptParts(
  state: ArchiveState,
  planned: PlannedArchive['logs'],
  carried: CarriedArchive | null,
): void {
  const known = new Map(carried?.parts.map((part) => [part.logId, part]))
  const done = new Set(carried?.done)
  const isSealed = (carried?.manifestHash ?? null) !== null
  state.parts = planned.map((log) => {
    const before = known.get(log.logId)
    const written = before?.written ?? (isSealed || done.has(log.logId))
    return {
      ...log,
      ...{ written, writtenLeaf: before?.writtenLeaf ?? (written ? log.toLeaf : log.fromLeaf) },
      position: before?.position ?? null,
      verified: before?.verified ?? (isSealed && done.has(log.logId)),
    }
  })
}

export function carryArchive({ id, manifestHash, checkpointId, parts }: ArchiveState): CarriedArchive {
  const isDone = ({ written, verified }: PartState): boolean => (manifestHash === null ? written : verified)
  const isBegun = ({ fromLeaf, writtenLeaf, position }: PartState): boolean =>
    manifestHash === null ? writtenLeaf !== fromLeaf : position !== null
  return {
    ...{ id, manifestHash, checkpointId },
    done: parts.filter(isDone).map(({ logId }) => logId),
    parts: parts
      .filter((part) => !isDone(part) && isBegun(part))
      .map(({ logId, writtenLeaf, written, position, verified }) => ({
        ...{ logId, writtenLeaf, written, position, verified },
      })),
  }
}

export function progressOfArchive({ id, status, phase, parts }: ArchiveState): ArchiveProgress {
  const sum = (leafOf: (part: PartState) => string): string =>
    String(parts.reduce((total, part) => total + BigInt(leafOf(part)) - BigInt(part.fromLeaf), 0n))
  return {
    ...{ id, status, phase, logs: parts.length },
    leaves: sum(({ toLeaf }) => toLeaf),
    written: sum(({ writtenLeaf }) => writtenLeaf),
    verified: sum(({ verified, toLeaf, position, fromLeaf }) =>
      verified ? toLeaf : (position?.leaves ?? fromLeaf),
    ),
  }
}

/** Markdown for Temporal UI. */
export function detailsOfArchive(state: ArchiveState): string {
  const { status, phase, logs, leaves, written, verified } = progressOfArchive(state)
  return [
    `**${state.name}**: ${status}${status === 'running' ? `, ${phase}` : ''}`,
    `${logs} logs, ${written} of ${leaves} leaves written, ${verified} read back`,
  ].join('\n\n')
}
