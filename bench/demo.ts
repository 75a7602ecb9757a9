/** `npm run demo`: the platform's whole main job on servers of its own, with a killed worker, verified at the end. */
import { hasKept, keep, stopKept } from './demo/keep.ts'
import { type DemoOptions, demoUsage, readDemoOptions } from './demo/options.ts'
import { formatReport, problemsOf, toJson } from './demo/report.ts'
import { type DemoOutcome, runDemo } from './demo/run.ts'
import { type OnStack, onStack, readOptions, runProgram, sayWhatHolds } from './run/program.ts'
import { World } from './run/world.ts'

async function main(argv: readonly string[]): Promise<number> {
  const options = readOptions(() => readDemoOptions(argv), demoUsage)
  if (options === null) return 2
  if (options.stop) {
    process.stderr.write((await stopKept()) ? 'stopped\n' : 'no kept demo is running\n')
    return 0
  }
  if (options.keep && hasKept()) {
    process.stderr.write('a kept demo is there already: npm run demo -- --stop\n')
    return 2
  }
  return await onStack(options.json, (on) => runIn(on, options))
}

async function runIn({ stack, say, signal }: OnStack, options: DemoOptions): Promise<number> {
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
  const code = sayWhatHolds(stream, formatReport(result), problems)
  if (json) jsonLine = JSON.stringify(toJson(result, problems))
  return code
}

/** Printed last, after the clean-up. */
let jsonLine: string | null = null

await runProgram(main)
if (jsonLine !== null) process.stdout.write(`${jsonLine}\n`)
