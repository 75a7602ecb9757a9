/** `npm run soak`: millions of events through ingest and one replay; what each role takes must stay flat. */
import { startStack } from '../stack/servers.ts'
import { untilAsked } from './run/asked.ts'
import { createSay } from './run/say.ts'
import { World } from './run/world.ts'
import { readSoakOptions, type SoakOptions, soakUsage } from './soak/options.ts'
import { formatSoak, problemsOf, toJson } from './soak/report.ts'
import { runSoak, type SoakResult } from './soak/run.ts'

async function main(argv: readonly string[]): Promise<number> {
  let options: SoakOptions
  try {
    options = readSoakOptions(argv)
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${soakUsage}\n`)
    return 2
  }
  const { result, problems } = await soak(options)
  const stream = options.json ? process.stderr : process.stdout
  stream.write(`\n${formatSoak(result)}\n\n`)
  if (problems.length === 0) stream.write('  Everything holds.\n\n')
  else stream.write(`  NOT everything holds:\n${problems.map((problem) => `    ${problem}\n`).join('')}\n`)
  if (options.json) process.stdout.write(`${JSON.stringify(toJson(result, problems))}\n`)
  return problems.length === 0 ? 0 : 1
}

async function soak(options: SoakOptions): Promise<{ result: SoakResult; problems: string[] }> {
  const signal = untilAsked()
  const say = createSay(options.json ? process.stderr : process.stdout)
  say.line('starting Kafka, PostgreSQL and Temporal …')
  const stack = await startStack({ onProgress: (message) => say.line(message) })
  try {
    signal.throwIfAborted()
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
  } finally {
    await stack.stop()
  }
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  const asked = error instanceof Error && error.name === 'AbortError'
  process.stderr.write(`${asked ? 'stopped' : error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = asked ? 130 : 1
}
