/** `npm run soak`: millions of events through ingest and one replay; what each role takes must stay flat. */
import { type OnStack, onStack, readOptions, runProgram, sayWhatHolds } from './run/program.ts'
import { World } from './run/world.ts'
import { readSoakOptions, type SoakOptions, soakUsage } from './soak/options.ts'
import { formatSoak, problemsOf, toJson } from './soak/report.ts'
import { runSoak, type SoakResult } from './soak/run.ts'

async function main(argv: readonly string[]): Promise<number> {
  const options = readOptions(() => readSoakOptions(argv), soakUsage)
  if (options === null) return 2
  const { result, problems } = await onStack(options.json, (on) => runIn(on, options))
  const code = sayWhatHolds(options.json ? process.stderr : process.stdout, formatSoak(result), problems)
  if (options.json) process.stdout.write(`${JSON.stringify(toJson(result, problems))}\n`)
  return code
}

async function runIn(
  { stack, say, signal }: OnStack,
  options: SoakOptions,
): Promise<{ result: SoakResult; problems: string[] }> {
  const world = await World.open('soak', stack)
  let failed = true
  try {
    const { kafkaClasspath } = stack
    const result = await runSoak({ world, kafkaClasspath, options, say, signal })
    const problems = problemsOf(result)
    failed = problems.length > 0
    return { result, problems }
  } finally {
    say.line('removing what was made …')
    await world.close({ keepLogs: failed && !signal.aborted })
  }
}

await runProgram(main)
