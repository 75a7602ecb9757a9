import { spawn } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { runCommand } from '../../stack/command.ts'
import { defaultStackDirectory } from '../../stack/paths.ts'
import { FrameParser } from './frames.ts'
import type { TopicReader } from './reader.ts'

const program = join(import.meta.dirname, 'Reader.java')
const limitMs = 10 * 60_000
/** Java takes seconds to start on a busy machine. */
const startLimitMs = 60_000
const shownErrorCharacters = 4_000
/** For a short life: no optimising compiler, no threads for the collector. */
const javaOptions = ['-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']

/**
 * Kafka's own Java consumer. Null where there is no Java, no Kafka client for it, or only a runtime without the
 * compiler.
 */
export async function findJavaReader(classpath: string | null): Promise<TopicReader | null> {
  if (classpath === null) return null
  const home = process.env['JAVA_HOME'] ?? ''
  const java = home === '' ? 'java' : join(home, 'bin', 'java')
  const { ok, stdout } = await runCommand(java, ['--list-modules'], { limitMs: startLimitMs })
  if (!ok || !stdout.includes('jdk.compiler@')) return null
  return {
    name: "Kafka's Java consumer (read_committed)",
    read: async (brokers, topics, onRecord, signal) => {
      const classes = await compile(java, classpath)
      const run = { java, classpath: [classes, classpath].join(delimiter), brokers, topics }
      await readWithJava(run, onRecord, signal)
    },
  }
}

/** Compiles once per version of the program; returns the folder with its class. */
async function compile(java: string, classpath: string): Promise<string> {
  const version = createHash('sha256').update(readFileSync(program)).digest('hex').slice(0, 12)
  const folder = join(defaultStackDirectory, `judge-${version}`)
  if (existsSync(folder)) return folder
  // Several runs at once: each compiles for itself, the first one to be done wins.
  const unfinished = `${folder}.${randomUUID()}`
  mkdirSync(unfinished, { recursive: true })
  const compiler = ['-m', 'jdk.compiler/com.sun.tools.javac.Main']
  const { ok, output } = await runCommand(
    java,
    [...compiler, '-cp', withoutWildcards(classpath), '-d', unfinished, program],
    {
      limitMs: startLimitMs,
    },
  )
  try {
    if (!ok) throw new Error(`the Java reader does not compile:\n${output.slice(-shownErrorCharacters)}`)
    renameSync(unfinished, folder)
  } catch (error) {
    rmSync(unfinished, { recursive: true })
    if (!existsSync(folder)) throw error
  }
  return folder
}

/** `folder/*` as the jars in it, which is what only Java's launcher does by itself. */
function withoutWildcards(classpath: string): string {
  const jarsOf = (folder: string): string[] =>
    readdirSync(folder)
      .filter((name) => name.endsWith('.jar'))
      .map((name) => join(folder, name))
  return classpath
    .split(delimiter)
    .flatMap((part) => (part.endsWith('*') ? jarsOf(dirname(part)) : [part]))
    .join(delimiter)
}

interface JavaRun {
  readonly java: string
  readonly classpath: string
  readonly brokers: string
  readonly topics: readonly string[]
}

async function readWithJava(
  { java, classpath, brokers, topics }: JavaRun,
  onRecord: Parameters<TopicReader['read']>[2],
  signal: AbortSignal | undefined,
): Promise<void> {
  const seen = topics.map(() => 0)
  const ended = new Map<number, number>()
  const parser = new FrameParser({
    onRecord: (topic, record) => {
      seen[topic] = (seen[topic] ?? 0) + 1
      onRecord(topic, record)
    },
    onEnd: (topic, records) => ended.set(topic, records),
  })
  const limit = AbortSignal.timeout(limitMs)
  const child = spawn(java, [...javaOptions, '-cp', classpath, 'Reader', brokers, ...topics], {
    stdio: ['ignore', 'pipe', 'pipe'],
    signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
    killSignal: 'SIGKILL',
  })
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-shownErrorCharacters)
  })
  child.stdout.on('data', (chunk: Buffer) => parser.push(chunk))
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`the Java reader failed (exit code ${code}):\n${complaint.trim()}`)
  parser.finish()
  topics.forEach((topic, number) => {
    if (ended.get(number) !== seen[number])
      throw new Error(`the Java reader did not read ${topic} to its end`)
  })
}
