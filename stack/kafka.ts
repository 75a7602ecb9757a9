import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCommand } from './command.ts'
import { findKafka, type Java } from './kafka-jars.ts'
import { countBrokers } from './kafka-probe.ts'
import type { NativeServer, Site } from './native.ts'

export const kafka: NativeServer = {
  name: 'kafka',
  portCount: 2,
  stopSignal: 'SIGTERM',
  readyLimitMs: 120_000,

  async prepare(site) {
    const java = await findKafka(site)
    await format(site, java)
    return ([port = 0, controllerPort = 0]) => {
      const home = homeOf(site)
      writeFileSync(home.properties, brokerProperties(home.data, port, controllerPort))
      return {
        command: java.command,
        args: [...javaOptions, '-cp', java.classpath, 'kafka.Kafka', home.properties],
        logFile: join(site.directory, 'logs', 'kafka.log'),
        cwd: home.folder,
      }
    }
  },

  async check(_site, [port = 0]) {
    if ((await countBrokers('127.0.0.1', port)) === 0) throw new Error('the broker has not registered yet')
  },
}

const javaOptions = ['-Xms128m', '-Xmx512m', '-XX:+UseSerialGC']

function homeOf(site: Site): { folder: string; data: string; properties: string } {
  const folder = join(site.directory, 'kafka')
  return { folder, data: join(folder, 'data'), properties: join(folder, 'server.properties') }
}

/** Formats the data folder unless that was finished once; the mark is written last. */
async function format(site: Site, java: Java): Promise<void> {
  const home = homeOf(site)
  const mark = join(home.folder, 'formatted')
  if (existsSync(mark)) return
  rmSync(home.folder, { recursive: true, force: true })
  mkdirSync(home.data, { recursive: true })
  writeFileSync(home.properties, brokerProperties(home.data, 0, 1))
  const clusterId = randomBytes(16).toString('base64url')
  const arguments_ = ['-cp', java.classpath, 'kafka.tools.StorageTool', 'format']
  const result = await runCommand(java.command, [...arguments_, '-t', clusterId, '-c', home.properties], {
    limitMs: 60_000,
    cwd: home.folder,
  })
  if (!result.ok) throw new Error(`Kafka could not format ${home.data}:\n${result.output}`)
  writeFileSync(mark, `${clusterId}\n`, { flush: true })
}

/** One node, broker and controller in one, on loopback; events carry old timestamps, so nothing expires. */
function brokerProperties(data: string, port: number, controllerPort: number): string {
  const properties = {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'controller.listener.names': 'CONTROLLER',
    'log.dirs': data,
    'log.retention.ms': '-1',
    'auto.create.topics.enable': 'false',
    'offsets.topic.replication.factor': '1',
    'offsets.topic.num.partitions': '4',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'transaction.state.log.num.partitions': '4',
    'share.coordinator.state.topic.replication.factor': '1',
    'share.coordinator.state.topic.min.isr': '1',
    'group.initial.rebalance.delay.ms': '0',
    'log.cleaner.dedupe.buffer.size': '4194304',
  }
  return formatProperties(properties)
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
