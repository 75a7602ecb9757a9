import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCommand } from './command.ts'
import { findKafka, type Java } from './kafka-jars.ts'
import { countBrokers } from './kafka-probe.ts'
import type { NativeServer } from './native.ts'
import type { ServerCommand } from './process.ts'

export const kafka: NativeServer = {
  name: 'kafka',
  portCount: 2,
  stopSignal: 'SIGTERM',
  readyLimitMs: 120_000,

  async prepare(site) {
    const java = await findKafka(site)
    const folder = join(site.directory, 'kafka')
    const logFile = join(site.directory, 'logs', 'kafka.log')
    await formatKafka(java, { folder, id: 1, port: 0, controllerPort: 1 }, randomClusterId())
    return ([port = 0, controllerPort = 0]) =>
      kafkaCommand(java, { folder, id: 1, port, controllerPort }, { logFile, javaOptions: ['-Xmx512m'] })
  },

  async check(_site, [port = 0]) {
    if ((await countBrokers('127.0.0.1', port)) === 0) throw new Error('the broker has not registered yet')
  },
}

/** A broker and controller in one, on loopback. */
export interface KafkaNode {
  /** Holds its properties and its data. */
  readonly folder: string
  readonly id: number
  readonly port: number
  readonly controllerPort: number
  /** Controllers of all nodes, this one included; it is alone when left out. */
  readonly voters?: readonly { readonly id: number; readonly port: number }[]
  /** A second listener, which names another port to its clients than the one where it listens. */
  readonly detour?: { readonly port: number; readonly advertisedPort: number }
  /** On top of what is said here, or instead of it. */
  readonly settings?: Readonly<Record<string, string>>
}

const dataOf = (node: KafkaNode): string => join(node.folder, 'data')
const propertiesOf = (node: KafkaNode): string => join(node.folder, 'server.properties')

/** Never with a dash in front, which Kafka's tools take for an option (Kafka's `Uuid.randomUuid` avoids it too). */
export function randomClusterId(): string {
  const id = randomBytes(16).toString('base64url')
  return id.startsWith('-') ? randomClusterId() : id
}

/** Runs a node that is formatted. */
export function kafkaCommand(
  java: Java,
  node: KafkaNode,
  { logFile, javaOptions }: { readonly logFile: string; readonly javaOptions: readonly string[] },
): ServerCommand {
  writeFileSync(propertiesOf(node), formatProperties(nodeProperties(node)))
  const options = ['-Xms128m', '-XX:+UseSerialGC', ...javaOptions]
  return {
    command: java.command,
    args: [...options, '-cp', java.classpath, 'kafka.Kafka', propertiesOf(node)],
    logFile,
    cwd: node.folder,
  }
}

/** Formats the data folder unless that was finished once; the mark is written last. Ports do not matter yet. */
export async function formatKafka(java: Java, node: KafkaNode, clusterId: string): Promise<void> {
  const mark = join(node.folder, 'formatted')
  if (existsSync(mark)) return
  rmSync(node.folder, { recursive: true, force: true })
  mkdirSync(dataOf(node), { recursive: true })
  writeFileSync(propertiesOf(node), formatProperties(nodeProperties(node)))
  const arguments_ = ['-cp', java.classpath, 'kafka.tools.StorageTool', 'format']
  const result = await runCommand(java.command, [...arguments_, '-t', clusterId, '-c', propertiesOf(node)], {
    limitMs: 60_000,
    cwd: node.folder,
  })
  if (!result.ok) throw new Error(`Kafka could not format ${dataOf(node)}:\n${result.output}`)
  writeFileSync(mark, `${clusterId}\n`, { flush: true })
}

/** Events carry old timestamps, so nothing expires. As many replicas as there are nodes; one of them may be away. */
export function nodeProperties(node: KafkaNode): Record<string, string> {
  const voters = node.voters ?? [{ id: node.id, port: node.controllerPort }]
  const replicas = String(voters.length)
  const inSync = String(Math.max(1, voters.length - 1))
  const listeners: [name: string, port: number, advertised: number][] = [['PLAINTEXT', node.port, node.port]]
  if (node.detour !== undefined) listeners.push(['DETOUR', node.detour.port, node.detour.advertisedPort])
  return {
    'process.roles': 'broker,controller',
    'node.id': String(node.id),
    'controller.quorum.voters': voters.map(({ id, port }) => `${id}@127.0.0.1:${port}`).join(','),
    listeners: [...listeners, ['CONTROLLER', node.controllerPort]]
      .map(([name, port]) => `${name}://127.0.0.1:${port}`)
      .join(','),
    'advertised.listeners': listeners.map(([name, , port]) => `${name}://127.0.0.1:${port}`).join(','),
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,DETOUR:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'inter.broker.listener.name': 'PLAINTEXT',
    'controller.listener.names': 'CONTROLLER',
    'log.dirs': dataOf(node),
    'log.retention.ms': '-1',
    'auto.create.topics.enable': 'false',
    'default.replication.factor': replicas,
    'min.insync.replicas': inSync,
    'offsets.topic.replication.factor': replicas,
    'offsets.topic.num.partitions': '4',
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': inSync,
    'transaction.state.log.num.partitions': '4',
    'share.coordinator.state.topic.replication.factor': replicas,
    'share.coordinator.state.topic.min.isr': inSync,
    'group.initial.rebalance.delay.ms': '0',
    'log.cleaner.dedupe.buffer.size': '4194304',
    ...node.settings,
  }
}

/** Java's properties format: a backslash escapes, and the file is read as Latin-1. */
export function formatProperties(properties: Readonly<Record<string, string>>): string {
  const escaped = (value: string): string =>
    value
      .replaceAll('\\', '\\\\')
      .replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${escaped(value)}\n`)
    .join('')
}
