import { type Stack, startStack } from '../../stack/servers.ts'
import { untilAsked } from './asked.ts'
import { createSay, type Say } from './say.ts'

/** What the work of a program gets. */
export interface OnStack {
  readonly stack: Stack
  readonly say: Say
  /** Aborts when the program is asked to stop. */
  readonly signal: AbortSignal
}

/** What `read` makes of the command line, or null when that is wrong: then what is wrong was said, and the usage. */
export function readOptions<T>(read: () => T, usage: string): T | null {
  try {
    return read()
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${usage}\n`)
    return null
  }
}

/** Does the work on Kafka, PostgreSQL and Temporal, which are stopped again afterwards if they were started for it. */
export async function onStack<T>(json: boolean, work: (on: OnStack) => Promise<T>): Promise<T> {
  const signal = untilAsked()
  const say = createSay(json ? process.stderr : process.stdout)
  say.line('starting Kafka, PostgreSQL and Temporal …')
  const stack = await startStack({ onProgress: (message) => say.line(message) })
  try {
    signal.throwIfAborted()
    return await work({ stack, say, signal })
  } finally {
    await stack.stop()
  }
}

/** What does not hold, for people; returns the exit code. */
export function sayWhatHolds(
  stream: NodeJS.WritableStream,
  text: string,
  problems: readonly string[],
): number {
  stream.write(`\n${text}\n\n`)
  if (problems.length === 0) stream.write('  Everything holds.\n\n')
  else stream.write(`  NOT everything holds:\n${problems.map((problem) => `    ${problem}\n`).join('')}\n`)
  return problems.length === 0 ? 0 : 1
}

/** Runs `main` and sets the exit code: 130 when it was asked to stop, 1 when it failed with an error, which is said. */
export async function runProgram(main: (argv: readonly string[]) => Promise<number>): Promise<void> {
  try {
    process.exitCode = await main(process.argv.slice(2))
  } catch (error) {
    const asked = error instanceof Error && error.name === 'AbortError'
    process.stderr.write(`${asked ? 'stopped' : error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = asked ? 130 : 1
  }
}
