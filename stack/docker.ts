import { runCommand } from './command.ts'
import { projectRoot } from './paths.ts'
import { freePorts } from './ports.ts'
import type { ServerName } from './state.ts'

const upLimitMs = 15 * 60_000
const downLimitMs = 30_000

/** Ports inside the container, and the variables by which docker-compose.yml publishes them on the host. */
const published: Readonly<
  Record<ServerName, readonly { inside: number; variable: string; usual: number }[]>
> = {
  kafka: [{ inside: 19092, variable: 'KAFKA_PORT', usual: 9092 }],
  postgres: [{ inside: 5432, variable: 'POSTGRES_PORT', usual: 5432 }],
  temporal: [
    { inside: 7233, variable: 'TEMPORAL_PORT', usual: 7233 },
    { inside: 8233, variable: 'TEMPORAL_UI_PORT', usual: 8233 },
  ],
}

/** True when a Docker engine with Compose answers within ten seconds. */
export async function dockerAnswers(): Promise<boolean> {
  const [engine, compose] = await Promise.all([
    runCommand('docker', ['info', '--format', '{{.ServerVersion}}']),
    runCommand('docker', ['compose', 'version']),
  ])
  return engine.ok && compose.ok
}

export interface ComposeService {
  readonly ports: readonly number[]
  /** False when it ran before we came: then it is not ours to stop. */
  readonly started: boolean
}

/** Brings one service of docker-compose.yml up, healthy, and tells where it is published. */
export async function composeUp(name: ServerName): Promise<ComposeService> {
  const running = await compose(['ps', '--quiet', '--status', 'running', name])
  if (running.ok && running.stdout.trim() !== '') return { ports: await publishedPorts(name), started: false }
  const wanted = published[name]
  const chosen = await freePorts(
    wanted.length,
    wanted.map((port) => port.usual),
  )
  const environment = Object.fromEntries(wanted.map((port, index) => [port.variable, String(chosen[index])]))
  const up = await compose(['up', '--detach', '--wait', name], upLimitMs, environment)
  if (!up.ok)
    throw new Error(`docker compose up ${name} failed:\n${up.output.split('\n').slice(-15).join('\n')}`)
  return { ports: chosen, started: true }
}

async function publishedPorts(name: ServerName): Promise<number[]> {
  const answers = await Promise.all(
    published[name].map((port) => compose(['port', name, String(port.inside)])),
  )
  return answers.map((answer) => {
    const port = Number(answer.stdout.trim().split(':').at(-1))
    if (!answer.ok || !Number.isInteger(port))
      throw new Error(`docker compose port ${name}: ${answer.output}`)
    return port
  })
}

export async function composeRuns(name: ServerName): Promise<boolean> {
  const running = await compose(['ps', '--quiet', '--status', 'running', name])
  return running.ok && running.stdout.trim() !== ''
}

export async function composeStop(name: ServerName): Promise<void> {
  const stopped = await compose(['stop', '--timeout', '6', name], downLimitMs)
  if (!stopped.ok) throw new Error(`docker compose stop ${name} failed:\n${stopped.output}`)
}

function compose(args: readonly string[], limitMs?: number, environment: Record<string, string> = {}) {
  return runCommand('docker', ['compose', ...args], {
    cwd: projectRoot,
    env: { ...process.env, ...environment },
    ...(limitMs === undefined ? {} : { limitMs }),
  })
}
