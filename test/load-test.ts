/**
 * `tsx test/load-test.ts`: produces events at a rate and says whether the platform that is running keeps up.
 * KAFKA_BROKERS, KAFKA_TOPIC (events), TARGET_THROUGHPUT (10000), DURATION (60), BATCH_SIZE (100); DATABASE_URL or
 * API_URL to see what was committed. Exit code 0 when the target held, 1 when not, 2 when a variable is wrong.
 */

import { type LoadOptions, readLoadOptions } from '../bench/load/options.ts'
import { formatLoad, problemsOf } from '../bench/load/report.ts'
import { runLoad } from '../bench/load/run.ts'
import { untilAsked } from '../bench/run/asked.ts'
import { createSay } from '../bench/run/say.ts'
import { readEnvironment } from '../stack/environment.ts'
import { defaultStackDirectory } from '../stack/paths.ts'

async function main(): Promise<number> {
  let options: LoadOptions
  try {
    const stack = readEnvironment(defaultStackDirectory)
    options = readLoadOptions(process.env, stack === null ? null : { ...stack })
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    return 2
  }
  const say = createSay(process.stdout)
  // Ids are made of the seed: each run needs one of its own, or its events are duplicates.
  const seed = Date.now() % 2 ** 31
  const result = await runLoad(options, seed, say, untilAsked())
  const problems = problemsOf(result)
  process.stdout.write(`\n${formatLoad(result)}\n\n`)
  process.stdout.write(
    problems.length === 0 ? '  The target held.\n' : `  The target did NOT hold: ${problems.join('; ')}.\n`,
  )
  return problems.length === 0 ? 0 : 1
}

try {
  process.exitCode = await main()
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
