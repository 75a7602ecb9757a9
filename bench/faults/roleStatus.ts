import type { RoleProcess } from '../run/roles.ts'

const answerLimitMs = 5_000

/** What a role says of itself at `GET /health/ready`; by check, by name. */
export interface Readiness {
  readonly ready: boolean
  readonly checks: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

/** Null when it does not answer. */
export async function readinessOf({ url }: RoleProcess): Promise<Readiness | null> {
  const response = await ask(`${url}/health/ready`)
  if (response === null) return null
  const body = (await response.json()) as { checks?: Readiness['checks'] }
  return { ready: response.ok, checks: body.checks ?? {} }
}

/** Sum of a metric over all series that carry these labels; 0 when there are none, null when the role does not answer. */
export async function metricOf(
  role: RoleProcess,
  name: string,
  labels: Readonly<Record<string, string>>,
): Promise<number | null> {
  const series = await seriesOf(role, name, labels)
  return series?.reduce((sum, value) => sum + value, 0) ?? null
}

/** Every series of a metric that carries these labels; null when the role does not answer. */
export async function seriesOf(
  { url }: RoleProcess,
  name: string,
  labels: Readonly<Record<string, string>>,
): Promise<number[] | null> {
  const response = await ask(`${url}/metrics`)
  if (response === null) return null
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`)
  return (await response.text())
    .split('\n')
    .map((line) => /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line))
    .filter((match) => match?.[1] === name && wanted.every((label) => match[2]?.split(',').includes(label)))
    .map((match) => Number(match?.[3]))
}

async function ask(url: string): Promise<Response | null> {
  try {
    return await fetch(url, { signal: AbortSignal.timeout(answerLimitMs) })
  } catch {
    // A role that starts, ends or is stopped does not answer; whoever asks asks again.
    return null
  }
}
