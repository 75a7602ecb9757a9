import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { watchSources } from './changes.ts'
import { type StackEnvironment, writeEnvironment } from './environment.ts'
import { migrate } from './migrate.ts'
import { defaultStackDirectory, projectRoot } from './paths.ts'
import { startReloadable } from './platform.ts'
import { freePorts } from './ports.ts'
import { startStack } from './servers.ts'
import { signingKeyFile } from './signing-key.ts'
import { createTopics } from './topics.ts'

const say = (message: string): boolean => process.stderr.write(`${message}\n`)
const watched = ['src', 'workflows', 'activities', 'drizzle']
/** Platform and servers together stay within the ten seconds that Ctrl-C may take. */
const platformGraceMs = 3_500

/** Servers and platform in the foreground until a signal comes. */
async function main(): Promise<void> {
  const dotenv = join(projectRoot, '.env')
  // What the environment says already wins over the file.
  if (existsSync(dotenv)) process.loadEnvFile(dotenv)
  const asked = untilAsked()
  const stack = await startStack({ onProgress: say })
  try {
    if (asked.came()) return
    const port = await choosePort()
    say('migrating the schema …')
    await migrate(stack.env)
    writeEnvironment(defaultStackDirectory, stack.env)
    if (stack.own.includes('kafka')) await createTopics(stack.env.KAFKA_BROKERS, topicsToRead(), say)
    await runPlatform(stack.env, port, asked.promise)
  } finally {
    say('stopping …')
    await stack.stop()
  }
}

async function runPlatform(env: StackEnvironment, port: number, asked: Promise<void>): Promise<void> {
  say(addressTable(env, port))
  const platform = startReloadable({
    file: 'src/main.ts',
    args: ['all'],
    env: { ...process.env, ...signingKey(), ...env, PORT: String(port) },
    graceMs: platformGraceMs,
    onEnd: (how) => say(`the platform ended (${how}); it starts again when a file changes`),
  })
  const unwatch = watchSources(watched, (file) => {
    say(`${file} changed: restarting`)
    platform.restart().catch((error: unknown) => say(String(error)))
  })
  await asked
  unwatch()
  await platform.stop()
}

/** A key of this checkout's own, unless the environment names one: checkpoints are always signed here. */
function signingKey(): Readonly<Record<string, string>> {
  const named = ['CHECKPOINT_SIGNING_KEY', 'CHECKPOINT_SIGNING_KEY_FILE', 'INSTANCE_NAME']
  if (named.some((name) => (process.env[name] ?? '') !== '')) return {}
  return { CHECKPOINT_SIGNING_KEY_FILE: signingKeyFile(defaultStackDirectory) }
}

/** Resolves with the first signal that asks to stop; the ones after it (npm sends its own) change nothing. */
function untilAsked(): { promise: Promise<void>; came: () => boolean } {
  let asked = false
  const promise = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        asked = true
        resolve()
      })
    }
  })
  return { promise, came: () => asked }
}

/** The port that was asked for, else the usual one, else, when somebody has that, any. */
async function choosePort(): Promise<number> {
  const named = process.env['PORT'] ?? ''
  if (named !== '') return Number(named)
  const [port = 0] = await freePorts(1, [8080])
  return port
}

function topicsToRead(): string[] {
  const named = process.env['KAFKA_TOPICS'] || 'events'
  return named
    .split(',')
    .map((topic) => topic.trim())
    .filter((topic) => topic !== '')
}

function addressTable(env: StackEnvironment, port: number): string {
  const database = new URL(env.DATABASE_URL)
  const rows = [
    ['API', `http://${process.env['HOST'] || '127.0.0.1'}:${port}`],
    ['Temporal UI', env.TEMPORAL_UI_URL],
    ['Temporal', env.TEMPORAL_ADDRESS],
    ['Kafka', env.KAFKA_BROKERS],
    ['PostgreSQL', `${database.host}${database.pathname}`],
    ['all of them', 'set -a; . .stack/env'],
  ]
  return rows
    .filter(([, address]) => address !== '')
    .map(([name = '', address = '']) => `  ${name.padEnd(12)} ${address}`)
    .join('\n')
}

try {
  await main()
} catch (error) {
  say(error instanceof Error ? error.message : String(error))
  process.exitCode = 1
}
// The signal handlers must not keep a finished process alive, nor anything that the platform's start left open.
process.exit()
