import { isErrorCode, ServiceError } from '../errors.ts'
import type { SchemaProbe } from '../ports.ts'

/** Asks one server whether it answers. Throws when it does not. */
export interface Probe {
  readonly name: string
  check(): Promise<ProbeAnswer>
  /** Shown, and never a reason not to be ready: work goes on without it. */
  readonly advisory?: boolean
}

export interface ProbeAnswer {
  /** False when the server answers and work is not possible all the same. */
  readonly ready: boolean
  /** It answers, and something is not as it should be. */
  readonly degraded?: boolean
  /** Shown beside the state. */
  readonly info?: Readonly<Record<string, unknown>>
}

export interface ProbeReport extends Readonly<Record<string, unknown>> {
  readonly state: 'up' | 'degraded' | 'down'
  readonly latencyMs: number
}

export interface Readiness {
  readonly status: 'ready' | 'not ready'
  readonly checks: Readonly<Record<string, ProbeReport>>
}

export interface ReadinessOptions {
  readonly timeoutMs?: number
  /** An answer younger than this is given again, so that many callers cost the servers no more than one. */
  readonly freshMs?: number
}

/** Asks all servers at once, each bounded in time; callers at the same moment share one answer. */
export function createReadiness(
  probes: readonly Probe[],
  { timeoutMs = 2_000, freshMs = 1_000 }: ReadinessOptions = {},
): () => Promise<Readiness> {
  const bounded = probes.map((probe) => boundedProbe(probe, timeoutMs))
  let latest: { readonly at: number; readonly readiness: Promise<Readiness> } | null = null
  const ask = async (): Promise<Readiness> => {
    const outcomes = await Promise.all(bounded.map((check) => check()))
    const checks = Object.fromEntries(outcomes.map(({ name, report }) => [name, report]))
    return { status: outcomes.every(({ ready }) => ready) ? 'ready' : 'not ready', checks }
  }
  return () => {
    if (latest === null || performance.now() - latest.at > Math.max(freshMs, 1))
      latest = { at: performance.now(), readiness: ask() }
    return latest.readiness
  }
}

interface ProbeOutcome {
  readonly name: string
  readonly ready: boolean
  readonly report: ProbeReport
}

/** Never rejects. A check that hangs is not started a second time while it hangs. */
function boundedProbe(probe: Probe, timeoutMs: number): () => Promise<ProbeOutcome> {
  const isAdvisory = probe.advisory === true
  let pending: Promise<ProbeOutcome> | null = null
  const run = async (): Promise<ProbeOutcome> => {
    const startedAt = performance.now()
    const latencyMs = () => Math.round((performance.now() - startedAt) * 10) / 10
    try {
      const { ready, degraded = false, info } = await probe.check()
      const state = degraded ? 'degraded' : 'up'
      return {
        name: probe.name,
        ready: ready || isAdvisory,
        report: { state, latencyMs: latencyMs(), ...info },
      }
    } catch (error) {
      const report: ProbeReport = { state: 'down', latencyMs: latencyMs(), ...whyDown(error) }
      return { name: probe.name, ready: isAdvisory, report }
    }
  }
  return async () => {
    pending ??= run().finally(() => {
      pending = null
    })
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<ProbeOutcome>((resolve) => {
      const report: ProbeReport = {
        state: 'down',
        latencyMs: timeoutMs,
        code: 'TIMEOUT',
        detail: `no answer within ${timeoutMs} ms`,
      }
      timer = setTimeout(() => resolve({ name: probe.name, ready: isAdvisory, report }), timeoutMs)
    })
    try {
      return await Promise.race([pending, late])
    } finally {
      clearTimeout(timer)
    }
  }
}

/** A ServiceError's text is safe to show; of others only that they happened. */
function whyDown(error: unknown): { readonly code: string; readonly detail?: string } {
  if (error instanceof ServiceError) return { code: error.code, detail: error.message }
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined
  return { code: isErrorCode(code) ? code : 'INTERNAL' }
}

/** The database answers, and its schema is the one that this version needs. */
export const databaseProbe = (schema: SchemaProbe): Probe => ({
  name: 'database',
  check: async () => {
    const state = await schema.check()
    return { ready: state === 'ready', info: { schema: state } }
  },
})

/** A server that is up when `ping` resolves. */
export const pingProbe = (name: string, ping: () => Promise<void>): Probe => ({
  name,
  check: async () => {
    await ping()
    return { ready: true }
  },
})
