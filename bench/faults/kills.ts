import { setTimeout as sleep } from 'node:timers/promises'
import type { RoleProcess } from '../run/roles.ts'
import type { Frame, Passage, ScenarioContext } from './contract.ts'
import type { Roles } from './roles.ts'
import { until } from './waiting.ts'

/** Ends a role with kill -9 at a moment of its own choice; resolves when the process is gone. */
export type Kill = (role: RoleProcess) => Promise<void>

/** At a random moment within one of these spans, ms, which is drawn first: some kills come soon, some late. */
export const killAtRandom =
  ({ random, signal }: ScenarioContext, roles: Roles, spansMs: readonly [number, ...number[]]): Kill =>
  async (role) => {
    await sleep(random.below(random.pick(spansMs)), undefined, { signal })
    await roles.kill(role)
  }

/** A request of a role on its way to a server. */
export interface Step {
  readonly name: string
  /** `role`: what tells its requests from those of other processes, where something does. */
  matches(frame: Frame, role: RoleProcess): boolean
}

export interface StepOptions {
  /** What the requests cross. */
  readonly passages: readonly Passage[]
  readonly roles: Roles
  /** Requests that match and are let through first. */
  readonly skip: () => number
  readonly limitMs: number
}

/** When it sends such a request, which the server never sees. @throws when it sends none in time */
export const killAtStep =
  (step: Step, { passages, roles, skip, limitMs }: StepOptions): Kill =>
  async (role) => {
    let left = skip()
    let reached = false
    const request = (frame: Frame): 'pass' | 'cut' => {
      if (reached || !step.matches(frame, role) || left-- > 0) return 'pass'
      reached = true
      roles.killNow(role)
      return 'cut'
    }
    for (const passage of passages) passage.tap({ request })
    try {
      await until(() => (reached ? true : null), roles.waiting(`the step ${step.name}`, limitMs, 5))
      await roles.kill(role)
    } finally {
      for (const passage of passages) passage.tap(null)
    }
  }
