import { resetPeakMemory } from '../../run/cpu.ts'
import type { RoleProcess } from '../../run/roles.ts'
import { formatBytes } from '../../run/vitals.ts'
import { peakMemoryOf } from '../peakMemory.ts'

/** Design §11: what each role may take at full speed. */
export const mostRoleBytes = 400 * 2 ** 20

/** With hundreds of workflows or partitions at once: more than at full speed, and not without an end. */
export const mostCrowdedBytes = 800 * 2 ** 20

/** What it took to start does not count. */
export function forgetStart(roles: readonly RoleProcess[]): void {
  for (const { pid } of roles) resetPeakMemory(pid)
}

/** The most memory that these have taken so far: a problem where it is too much, and a note. */
export function peaksOf(
  roles: readonly RoleProcess[],
  mostBytes = mostRoleBytes,
): {
  readonly problems: readonly string[]
  readonly notes: readonly string[]
} {
  const peaks = roles.map(({ label, pid }) => ({ label, bytes: peakMemoryOf(pid) ?? 0 }))
  return {
    problems: peaks
      .filter(({ bytes }) => bytes > mostBytes)
      .map(({ label, bytes }) => `${label} took ${formatBytes(bytes)}, more than ${formatBytes(mostBytes)}`),
    notes: peaks.map(({ label, bytes }) => `${label} took ${formatBytes(bytes)} at most`),
  }
}
