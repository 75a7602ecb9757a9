import { formatSeconds } from '../run/say.ts'
import type { Outcome, Scenario } from './contract.ts'

/** Design §11: until a killed process's work goes on. */
export const defaultRecoveryBarMs = 20_000

/**
 * The outcome, and where events stood still for longer than the bar, that too: as a problem when times are `strict`. On a
 * machine that others use as well it is a note only, since starting a process can take any time there.
 */
export function heldAgainstBar(
  outcome: Outcome,
  { recoveryBarMs = defaultRecoveryBarMs }: Pick<Scenario, 'recoveryBarMs'>,
  strict: boolean,
): Outcome {
  const { longestRecoveryMs, problems, notes } = outcome
  if (recoveryBarMs === null || longestRecoveryMs === null || longestRecoveryMs <= recoveryBarMs)
    return outcome
  const text =
    `the longest recovery took ${formatSeconds(longestRecoveryMs / 1000)}, ` +
    `the bar is ${formatSeconds(recoveryBarMs / 1000)}`
  return strict ? { ...outcome, problems: [...problems, text] } : { ...outcome, notes: [...notes, text] }
}
