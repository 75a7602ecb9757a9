/** `npm run faults`: does its worst to the platform on servers of its own, and reads back what became of every record. */
import { randomInt } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { findKafka } from '../stack/kafka-jars.ts'
import { defaultStackDirectory } from '../stack/paths.ts'
import { openBed } from './faults/bed/bed.ts'
import { runCampaign, type ScenarioResult } from './faults/campaign.ts'
import { catalogue } from './faults/catalogue.ts'
import {
  commandOf,
  type FaultsOptions,
  faultsUsage,
  formatList,
  type Planned,
  planCampaign,
  readFaultsOptions,
} from './faults/options.ts'
import {
  type CampaignReport,
  formatMarkdown,
  formatReport,
  isCampaignClean,
  toJson,
} from './faults/report.ts'
import { MendedBed } from './faults/servers.ts'
import { findVersions } from './faults/versions.ts'
import { findJavaReader } from './judge/javaReader.ts'
import type { TopicReader } from './judge/reader.ts'
import { untilAsked } from './run/asked.ts'
import { runProgram } from './run/program.ts'
import { createSay, type Say } from './run/say.ts'

const folderOf = ({ directory }: FaultsOptions): string =>
  directory === null ? join(defaultStackDirectory, 'faults') : join(directory, 'streaming-ingest-faults')
const noCompiler =
  'The campaign is judged by a Java program, and the Java here has no compiler: apt-get install -y openjdk-17-jdk-headless'

async function main(argv: readonly string[]): Promise<number> {
  let options: FaultsOptions
  let planned: readonly Planned[]
  try {
    options = readFaultsOptions(argv, () => randomInt(2 ** 32))
    planned = planCampaign(catalogue, options)
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    process.stderr.write(`${error.message}\n${faultsUsage}\n`)
    return 2
  }
  if (options.list) {
    process.stdout.write(`${formatList(catalogue)}\n`)
    return 0
  }
  const signal = untilAsked()
  const say = createSay(options.json ? process.stderr : process.stdout)
  say.line(`seed ${options.seed}: ${commandOf(options)}`)
  const reader = await findJudge(say)
  const report = await runOnBed({ options, planned, reader, say, signal })
  const ok = isCampaignClean(report)
  const directory = folderOf(options)
  const stream = options.json ? process.stderr : process.stdout
  stream.write(`\n${formatReport(report)}\n\n`)
  if (ok && !options.keepLogs) rmSync(directory, { recursive: true, force: true })
  else stream.write(`  Logs are in ${join(directory, 'logs')}.\n\n`)
  if (options.markdown !== null) writeFileSync(options.markdown, formatMarkdown(report))
  if (options.json) process.stdout.write(`${JSON.stringify(toJson(report))}\n`)
  if (report.interrupted) return 130
  return ok ? 0 : 1
}

/** Only Kafka's own consumer may judge. @throws with the command that installs what is missing */
async function findJudge(say: Say): Promise<TopicReader> {
  const site = { directory: defaultStackDirectory, progress: (message: string) => say.line(message) }
  const { classpath } = await findKafka(site)
  const reader = await findJavaReader(classpath)
  if (reader === null) throw new Error(noCompiler)
  return reader
}

interface Run {
  readonly options: FaultsOptions
  readonly planned: readonly Planned[]
  readonly reader: TopicReader
  readonly say: Say
  readonly signal: AbortSignal
}

async function runOnBed({ options, planned, reader, say, signal }: Run): Promise<CampaignReport> {
  const startedMs = performance.now()
  const date = new Date().toISOString()
  const bed = new MendedBed(
    await openBed({ directory: folderOf(options), say: (text) => say.line(text), signal }),
  )
  let results: readonly ScenarioResult[]
  let versions: Awaited<ReturnType<typeof findVersions>>
  try {
    const { seed, short, strictTimes } = options
    results = await runCampaign({ bed, reader, planned, seed, short, strictTimes, say, signal })
    versions = await findVersions(signal.aborted ? {} : await bed.versionSources())
  } finally {
    say.line('stopping the servers …')
    await bed.close()
    rmSync(join(dirname(bed.logs), 'broken'), { recursive: true, force: true })
  }
  return {
    date,
    seed: options.seed,
    command: commandOf(options),
    versions,
    judge: reader.name,
    results,
    seconds: (performance.now() - startedMs) / 1000,
    interrupted: signal.aborted,
  }
}

await runProgram(main)
