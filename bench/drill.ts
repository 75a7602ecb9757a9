/** `npm run drill`: the disaster and the way out of it, on servers of its own, verified at the end. */
import { type DrillOptions, drillUsage, readDrillOptions } from './drill/options.ts'
import { type DrillResult, formatDrill, problemsOfDrill, toDrillJson } from './drill/report.ts'
import { runDrill } from './drill/run.ts'
import { type OnStack, onStack, readOptions, runProgram, sayWhatHolds } from './run/program.ts'
import { World } from './run/world.ts'

/** Printed last, after the clean-up. */
let jsonLine: string | null = null

async function main(argv: readonly string[]): Promise<number> {
  const options = readOptions(() => readDrillOptions(argv), drillUsage)
  if (options === null) return 2
  return await onStack(options.json, (on) => runIn(on, options))
}

async function runIn({ stack, say, signal }: OnStack, options: DrillOptions): Promise<number> {
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
  const code = sayWhatHolds(stream, formatDrill(result), problems)
  if (json) jsonLine = JSON.stringify(toDrillJson(result, problems))
  return code
}

await runProgram(main)
if (jsonLine !== null) process.stdout.write(`${jsonLine}\n`)
