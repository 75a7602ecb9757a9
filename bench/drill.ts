/** `npm run drill`: the disaster and the way out of it, on servers of its own, verified at the end. */
import { type Stack, startStack } from '../stack/servers.ts'
import { type DrillOptions, drillUsage, readDrillOptions } from './drill/options.ts'
import { type DrillResult, formatDrill, problemsOfDrill, toDrillJson } from './drill/report.ts'
import { runDrill } from './drill/run.ts'
import { untilAsked } from './run/asked.ts'
import { createSay, type Say } from './run/say.ts'
import { World } from './run/world.ts'

/** Printed last, after the clean-up. */
let jsonLine: string | null = null

async function main(argv: readonly string[]): Promise<number> {
  let options: DrillOptions
  try {
    options = readDrillOptions(argv)
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${drillUsage}\n`)
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

async function runIn(stack: Stack, options: DrillOptions, say: Say, signal: AbortSignal): Promise<number> {
  signal.throwIfAborted()
  const world = await World.open('drill', stack)
  let failed = true
  try {
    const { events } = options
    const result = await runDrill({ world, kafkaClasspath: stack.kafkaClasspath, events, say, signal })
    const code = report(result, options)
    failed = code !== 0
    return code
  } finally {
    say.line('removing what was made …')
    await world.close({ keepLogs: failed && !signal.aborted })
  }
}

function report(result: DrillResult, { json }: DrillOptions): number {
  const problems = problemsOfDrill(result)
  const stream = json ? process.stderr : process.stdout
  stream.write(`\n${formatDrill(result)}\n\n`)
  if (problems.length === 0) stream.write('  Everything holds.\n\n')
  else stream.write(`  NOT everything holds:\n${problems.map((problem) => `    ${problem}\n`).join('')}\n`)
  if (json) jsonLine = JSON.stringify(toDrillJson(result, problems))
  return problems.length === 0 ? 0 : 1
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  const asked = error instanceof Error && error.name === 'AbortError'
  process.stderr.write(`${asked ? 'stopped' : error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = asked ? 130 : 1
}
if (jsonLine !== null) process.stdout.write(`${jsonLine}\n`)
