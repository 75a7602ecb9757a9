import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { findExecutable, isExecutable, runCommand } from './command.ts'
import type { Progress, Site } from './native.ts'
import { projectRoot, sharedCacheDirectory } from './paths.ts'

export interface Java {
  readonly command: string
  /** Kafka's broker and tools: `java -cp <classpath> org.apache.kafka.tools.…`. */
  readonly classpath: string
}

const oldestJava = 17
const downloadLimitMs = 15 * 60_000
const folder = join(projectRoot, 'stack', 'kafka')

/**
 * Java and Kafka's jars, fetched by Maven once per machine.
 * @throws when Java, Maven or the network is missing; the message says what to install and how
 */
export async function findKafka(site: Site): Promise<Java> {
  const command = await findJava()
  const pom = join(folder, 'pom.xml')
  const name = `kafka-${createHash('sha256').update(readFileSync(pom)).digest('hex').slice(0, 12)}`
  const shared = sharedCacheDirectory()
  const jars = join(canWrite(shared) ? shared : site.directory, name)
  if (!existsSync(jars)) await download(pom, jars, site.progress)
  return { command, classpath: [folder, join(jars, '*')].join(delimiter) }
}

async function findJava(): Promise<string> {
  const home = process.env['JAVA_HOME']
  const fromHome = home === undefined ? '' : join(home, 'bin', 'java')
  const command = isExecutable(fromHome) ? fromHome : findExecutable('java')
  if (command === null) throw new Error(missing('Java is not installed'))
  const { output } = await runCommand(command, ['-version'])
  const major = javaMajor(output)
  if (major === null || major < oldestJava) {
    throw new Error(missing(`${command} is not Java ${oldestJava} or newer`))
  }
  return command
}

/** Major version out of what `java -version` prints; null when it isn't there. `1.8` is 8. */
export function javaMajor(output: string): number | null {
  const found = /version "(?:1\.)?(\d+)/.exec(output)
  return found === null ? null : Number(found[1])
}

function missing(what: string): string {
  const debian = 'apt-get install -y openjdk-17-jdk-headless maven'
  return `${what}. Kafka needs a Docker engine, or Java ${oldestJava} with Maven (Debian: ${debian}; macOS: brew install openjdk maven), or a broker named in KAFKA_BROKERS`
}

async function download(pom: string, jars: string, progress: Progress): Promise<void> {
  const maven = findExecutable('mvn')
  if (maven === null) throw new Error(missing('Maven is not installed'))
  progress('fetching Apache Kafka with Maven (once, about 60 MB) …')
  const unfinished = `${jars}.${process.pid}.new`
  rmSync(unfinished, { recursive: true, force: true })
  const goal = ['dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${unfinished}`]
  const result = await runCommand(maven, ['-q', '-B', '-f', pom, ...goal], { limitMs: downloadLimitMs })
  if (!result.ok) {
    rmSync(unfinished, { recursive: true, force: true })
    throw new Error(`Maven could not fetch Apache Kafka:\n${result.output.split('\n').slice(-15).join('\n')}`)
  }
  // Another checkout may have been faster.
  if (existsSync(jars)) rmSync(unfinished, { recursive: true, force: true })
  else renameSync(unfinished, jars)
}

function canWrite(directory: string): boolean {
  const probe = join(directory, `.probe-${process.pid}`)
  try {
    mkdirSync(probe, { recursive: true })
    rmSync(probe, { recursive: true })
    return true
  } catch {
    return false
  }
}
