/** `npm run demo`: the platform's whole main job on servers of its own, with a killed worker, verified at the end. */
import { type Stack, startStack } from '../stack/servers.ts'
import { hasKept, keep, stopKept } from './demo/keep.ts'
import { type DemoOptions, demoUsage, readDemoOptions } from './demo/options.ts'
import { formatReport, problemsOf, toJson } from './demo/report.ts'
import { type DemoOutcome, runDemo } from './demo/run.ts'
import { untilAsked } from './run/asked.ts'
import { createSay, type Say } from './run/say.ts'
import { World } from './run/world.ts'

async function main(argv: readonly string[]): Promise<number> {
  let options: DemoOptions
  try {
    options = readDemoOptions(argv)
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${demoUsage}\n`)
    return 2
  }
  if (options.stop) {
    process.stderr.write((await stopKept()) ? 'stopped\n' : 'no kept demo is running\n')
    return 0
  }
  if (options.keep && hasKept()) {
    process.stderr.write('a kept demo is there already: npm run demo -- --stop\n')
    return 2
  }
  const signal = untilAsked()
  const say = createSay(options.json ? process.stderr : process.stdout)
  say.line('starting Kafka, PostgreSQL and Temporal …')
  const stack = await startStack({ onProgress: (message) => say.line(message) })
  try {
    return await runIn(stack, options, say, signal)
  } finally {
    await stack.stop()
  }
}

async function runIn(stack: Stack, options: DemoOptions, say: Say, signal: AbortSignal): Promise<number> {
  signal.throwIfAborted()
  const world = await World.open('demo', stack)
  let left = false
  let failed = true
  try {
    const { events } = options
    const outcome = await runDemo({ world, kafkaClasspath: stack.kafkaClasspath, events, say, signal })
    const code = report(outcome, options)
    failed = code !== 0
    if (options.keep) {
      process.stderr.write(`\n${await keep(world, outcome.apiUrl, outcome.roleEnv)}\n`)
      left = true
    }
    return code
  } finally {
    if (left) await world.leave()
    else {
      say.line('removing what was made …')
      await world.close({ keepLogs: failed && !signal.aborted })
    }
  }
}

function report({ result }: DemoOutcome, { json }: DemoOptions): number {
  const problems = problemsOf(result)
  const stream = json ? process.stderr : process.stdout
  stream.write(`\n${formatReport(result)}\n\n`)
  if (problems.length === 0) stream.write('  Everything holds.\n\n')
  else stream.write(`  NOT everything holds:\n${problems.map((problem) => `    ${problem}\n`).join('')}\n`)
  if (json) jsonLine = JSON.stringify(toJson(result, problems))
  return problems.length === 0 ? 0 : 1
}

/** Printed last, after the clean-up. */
let jsonLine: string | null = null

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  const asked = error instanceof Error && error.name === 'AbortError'
  process.stderr.write(`${asked ? 'stopped' : error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = asked ? 130 : 1
}
if (jsonLine !== null) process.stdout.write(`${jsonLine}\n`)
