import { join } from 'node:path'
import { formatKafka, type KafkaNode, kafkaCommand, randomClusterId } from '../../../stack/kafka.ts'
import { findKafka, type Java } from '../../../stack/kafka-jars.ts'
import { lastingPorts } from '../../../stack/ports.ts'
import type { KafkaBed, Passage } from '../contract.ts'
import { openPassage } from '../passage/passage.ts'
import { BedServer, startAll } from './bedServer.ts'
import { checkNode } from './kafkaProbe.ts'
import type { BedSite } from './site.ts'

/** Small, and soon started: without the second compiler a start costs 3 s of processor time instead of 4.3. */
const javaOptions = ['-Xmx320m', '-XX:TieredStopAtLevel=1']

/** What normally takes minutes happens in a second or so: faults are noticed, and logs are cleaned, while one looks on. */
const settings = {
  'broker.session.timeout.ms': '3000',
  'broker.heartbeat.interval.ms': '500',
  'replica.lag.time.max.ms': '5000',
  'leader.imbalance.check.interval.seconds': '10',
  'unclean.leader.election.enable': 'false',
  'group.min.session.timeout.ms': '1000',
  'transaction.abort.timed.out.transaction.cleanup.interval.ms': '1000',
  'log.initial.task.delay.ms': '500',
  'log.retention.check.interval.ms': '500',
  'log.segment.delete.delay.ms': '500',
  'log.cleaner.backoff.ms': '500',
}

class KafkaServer extends BedServer {
  readonly id: number

  constructor(node: KafkaNode, java: Java, passage: Passage, site: BedSite, name: string) {
    super(
      {
        name: `Kafka node ${node.id} of ${name}`,
        launch: () =>
          kafkaCommand(java, node, { logFile: join(site.logs, `${name}-${node.id}.log`), javaOptions }),
        check: () => checkNode(node.id, node.port),
        stopSignal: 'SIGTERM',
        lastSignal: 'SIGKILL',
        readyLimitMs: 120_000,
        stopLimitMs: 30_000,
      },
      passage,
      site,
    )
    this.id = node.id
  }
}

export class KafkaNodes implements KafkaBed {
  readonly nodes: readonly KafkaServer[]
  readonly brokers: string
  readonly brokersThroughPassages: string
  readonly classpath: string

  constructor(nodes: readonly KafkaServer[], ports: readonly number[], classpath: string) {
    this.nodes = nodes
    this.brokers = ports.map((port) => `127.0.0.1:${port}`).join(',')
    this.brokersThroughPassages = nodes.map(({ passage }) => passage.address).join(',')
    this.classpath = classpath
  }

  async discard(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.discard()))
  }
}

/** Starts so many nodes. `name`: of their folder. */
export async function openKafka(site: BedSite, name: string, count: number): Promise<KafkaNodes> {
  const java = await findKafka({ directory: site.directory, progress: site.say })
  const nodes = await chooseNodes(join(site.directory, 'kafka', name), count)
  const clusterId = randomClusterId()
  site.say(count === 1 ? 'starting Kafka …' : `starting ${count} nodes of Kafka …`)
  await Promise.all(nodes.map((node) => formatKafka(java, node, clusterId)))
  const servers = await Promise.all(
    nodes.map(async (node) => new KafkaServer(node, java, await openDetour(node), site, name)),
  )
  await startAll(servers)
  const ports = nodes.map(({ port }) => port)
  return new KafkaNodes(servers, ports, java.classpath)
}

type BedNode = KafkaNode & { readonly detour: { readonly port: number; readonly advertisedPort: number } }

async function chooseNodes(folder: string, count: number): Promise<BedNode[]> {
  const ports = await lastingPorts(4 * count)
  const portsOf = (id: number): number[] => ports.slice(4 * (id - 1), 4 * id)
  const ids = Array.from({ length: count }, (_, at) => at + 1)
  const voters = ids.map((id) => ({ id, port: portsOf(id)[0] ?? 0 }))
  return ids.map((id) => {
    const [controllerPort = 0, port = 0, detourPort = 0, advertisedPort = 0] = portsOf(id)
    const detour = { port: detourPort, advertisedPort }
    return { folder: join(folder, String(id)), id, port, controllerPort, voters, detour, settings }
  })
}

const openDetour = ({ detour }: BedNode): Promise<Passage> =>
  openPassage({ target: `127.0.0.1:${detour.port}`, protocol: 'kafka', port: detour.advertisedPort })
