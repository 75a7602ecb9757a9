/** `npm run bench`: ingest and replay beside their limits, in one run on the same servers. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { measureAll } from './measure/all.ts'
import type { Bed } from './measure/bed.ts'
import { describeMachine } from './measure/machine.ts'
import { type BenchOptions, benchUsage, readBenchOptions } from './measure/options.ts'
import { type BenchReport, formatBench, summarise } from './measure/report.ts'
import { type OnStack, onStack, readOptions, runProgram } from './run/program.ts'
import { formatCount } from './run/say.ts'
import { World } from './run/world.ts'
import { fillTopic } from './source/fill.ts'

const partitions = 4
const seed = 20_261_123
const resultPath = join(import.meta.dirname, 'results', 'last-run.json')

async function main(argv: readonly string[]): Promise<number> {
  const options = readOptions(() => readBenchOptions(argv), benchUsage)
  if (options === null) return 2
  const report = await onStack(options.json, (on) => runIn(on, options))
  mkdirSync(join(resultPath, '..'), { recursive: true })
  writeFileSync(resultPath, `${JSON.stringify(report, null, 2)}\n`)
  const stream = options.json ? process.stderr : process.stdout
  stream.write(`\n${formatBench(report)}\n\n`)
  if (options.json) process.stdout.write(`${JSON.stringify(report)}\n`)
  return 0
}

async function runIn({ stack, say, signal }: OnStack, options: BenchOptions): Promise<BenchReport> {
  const world = await World.open('bench', stack)
  let failed = true
  try {
    const source = await world.createTopic('source', partitions)
    const { kafkaClasspath, pids: serverPids } = stack
    const bed: Bed = { world, options, partitions, source, serverPids, kafkaClasspath, say, signal }
    await fill(bed)
    const machine = await describeMachine(stack.env.DATABASE_ADMIN_URL, kafkaClasspath)
    const measured = await measureAll(bed)
    failed = false
    return summarise({ events: options.events, machine, ...measured }, new Date().toISOString())
  } finally {
    say.line('removing what was made …')
    await world.close({ keepLogs: failed && !signal.aborted })
  }
}

/** Plain valid events: rates depend on the mix, and the mix is the demo's business. */
async function fill({ world, source, options: { events }, say, signal }: Bed): Promise<void> {
  const size = { seed, events, partitions, recordsPerBatch: 500 }
  const mix = { badPercent: 0, duplicatePercent: 0, compression: false } as const
  const onProgress = (records: number): void => say.progress(`producing … ${formatCount(records)}`)
  await fillTopic(world.admin, source, { ...size, ...mix }, onProgress, signal)
  say.line(`produced ${formatCount(events)} events`)
}

await runProgram(main)
