import { formatEnvironment, readEnvironment, writeEnvironment } from './environment.ts'
import { migrate } from './migrate.ts'
import { defaultStackDirectory } from './paths.ts'
import { keepStack, stopStack } from './servers.ts'
import { formatTable, statusRows } from './status.ts'

const usage = 'npm run stack -- up|down|status|env'
const say = (message: string): boolean => process.stderr.write(`${message}\n`)

async function up(): Promise<number> {
  const addresses = await keepStack({ onProgress: say })
  writeEnvironment(defaultStackDirectory, addresses)
  say('migrating the schema …')
  await migrate(addresses)
  process.stdout.write(`${formatTable(await statusRows(defaultStackDirectory))}\n`)
  say('addresses: npm run --silent stack -- env, or `set -a; . .stack/env`')
  return 0
}

async function down(): Promise<number> {
  const stopped = await stopStack({ onProgress: say })
  say(stopped.length === 0 ? 'nothing was running' : `stopped ${stopped.join(', ')}`)
  return 0
}

async function status(): Promise<number> {
  const rows = await statusRows(defaultStackDirectory)
  process.stdout.write(`${formatTable(rows)}\n`)
  return rows.every((row) => row.state === 'up') ? 0 : 1
}

async function env(): Promise<number> {
  const addresses = readEnvironment(defaultStackDirectory)
  if (addresses === null) {
    say('the stack is down: npm run stack -- up')
    return 1
  }
  process.stdout.write(formatEnvironment({ ...addresses }))
  return 0
}

const commands: Readonly<Record<string, () => Promise<number>>> = { up, down, status, env }

const [name = '', ...rest] = process.argv.slice(2)
const command = Object.hasOwn(commands, name) && rest.length === 0 ? commands[name] : undefined
if (command === undefined) {
  say(`usage: ${usage}`)
  process.exitCode = 2
} else {
  try {
    process.exitCode = await command()
  } catch (error) {
    say(error instanceof Error ? error.message : String(error))
    process.exitCode = 1
  }
}
