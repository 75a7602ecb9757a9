import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import kafkajs from 'kafkajs'
import { formatEnvironment, writeEnvironment } from '../../stack/environment.ts'
import { migrate } from '../../stack/migrate.ts'
import { defaultStackDirectory } from '../../stack/paths.ts'
import { identify, type ProcessId, stopProcess } from '../../stack/process.ts'
import { keepStack, stopStack } from '../../stack/servers.ts'
import { readState } from '../../stack/state.ts'
import { type Leftovers, removeLeftovers, type World } from '../run/world.ts'

/** What a kept demo left behind, so that `--stop` can take it away. */
interface Kept extends Leftovers {
  readonly roles: readonly ProcessId[]
  /** The servers ran before (`stack -- up`) and stay when the demo ends. */
  readonly serversStay: boolean
}

const keptPath = join(defaultStackDirectory, 'demo.json')
const envPath = join(defaultStackDirectory, 'demo.env')
const graceMs = 10_000

export const hasKept = (): boolean => existsSync(keptPath)

/** Notes what stays and says how to reach and how to end it. */
export async function keep(
  world: World,
  apiUrl: string,
  roleEnv: Readonly<Record<string, string>>,
): Promise<string> {
  const serversStay = readState(defaultStackDirectory).kept
  // As `stack -- up` does, so that its other commands know these servers.
  const addresses = await keepStack()
  await migrate(addresses)
  writeEnvironment(defaultStackDirectory, addresses)
  const roles = world.roles.flatMap(({ pid }) => identify(pid) ?? [])
  const kept: Kept = { ...world.leftovers, roles, serversStay }
  writeFileSync(keptPath, JSON.stringify(kept), { mode: 0o600 })
  const env = { ...world.env, ...roleEnv, API_URL: apiUrl }
  writeFileSync(envPath, formatEnvironment(env), { mode: 0o600 })
  return [
    `  API           ${apiUrl}`,
    `  Temporal UI   ${world.env.TEMPORAL_UI_URL}`,
    '  environment   set -a; . .stack/demo.env',
    `  processes     ${world.roles.map(({ role, pid }) => `${role} ${pid}`).join(', ')}`,
    '  to end it     npm run demo -- --stop',
  ].join('\n')
}

/** Ends what `--keep` left running. Returns false when there is nothing. */
export async function stopKept(): Promise<boolean> {
  if (!hasKept()) return false
  const kept: Kept = JSON.parse(readFileSync(keptPath, 'utf8'))
  await Promise.all(kept.roles.map((id) => stopProcess(id, 'SIGTERM', graceMs)))
  await remove(kept)
  if (!kept.serversStay) await stopStack()
  rmSync(keptPath)
  rmSync(envPath, { force: true })
  return true
}

/** Servers that are gone took their topics and databases out of reach; what matters is that nothing runs. */
async function remove(kept: Kept): Promise<void> {
  const brokers = kept.env.KAFKA_BROKERS.split(',')
  const admin = new kafkajs.Kafka({
    brokers,
    logLevel: kafkajs.logLevel.NOTHING,
    retry: { retries: 1 },
  }).admin()
  try {
    await admin.connect()
    await removeLeftovers(kept, admin)
  } catch (error) {
    process.stderr.write(`not removed: ${error instanceof Error ? error.message : String(error)}\n`)
  } finally {
    await admin.disconnect()
  }
}
