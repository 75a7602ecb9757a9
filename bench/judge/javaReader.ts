import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { runCommand } from '../../stack/command.ts'
import { FrameParser } from './frames.ts'
import type { TopicReader } from './reader.ts'

const program = join(import.meta.dirname, 'Reader.java')
const limitMs = 10 * 60_000
const shownErrorCharacters = 4_000

/**
 * Kafka's own Java consumer, run from source (JEP 330). Null where there is no Java, no Kafka client for it, or only
 * a runtime without its compiler.
 */
export async function findJavaReader(classpath: string | null): Promise<TopicReader | null> {
  if (classpath === null) return null
  const home = process.env['JAVA_HOME']
  const java = home === undefined || home === '' ? 'java' : join(home, 'bin', 'java')
  const { ok, stdout } = await runCommand(java, ['--list-modules'])
  if (!ok || !stdout.includes('jdk.compiler@')) return null
  return {
    name: "Kafka's Java consumer (read_committed)",
    read: (brokers, topics, onRecord, signal) =>
      readWithJava({ java, classpath, brokers, topics }, onRecord, signal),
  }
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
  const child = spawn(java, ['-Xmx512m', '-cp', classpath, program, brokers, ...topics], {
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
