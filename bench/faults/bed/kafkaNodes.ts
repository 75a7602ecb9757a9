import { join } from 'node:path'
import { formatKafka, type KafkaNode, kafkaCommand, randomClusterId } from '../../../stack/kafka.ts'
import { findKafka, type Java } from '../../../stack/kafka-jars.ts'
import type { KafkaBed, Passage } from '../contract.ts'
import { openPassage } from '../passage/passage.ts'
import { BedServer } from './bedServer.ts'
import { checkNode } from './kafkaProbe.ts'
import { type BedSite, bedPorts } from './site.ts'

const heapMb = 320

/** What normally takes minutes happens in a second or so: faults are noticed, and logs are cleaned, while one looks on. */
const settings = {
  'broker.session.timeout.ms': '4000',
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
  readonly passage: Passage

  constructor(node: KafkaNode, java: Java, passage: Passage, site: BedSite, name: string) {
    super(
      {
        name: `Kafka node ${node.id} of ${name}`,
        launch: () =>
          kafkaCommand(java, node, { logFile: join(site.logs, `${name}-${node.id}.log`), heapMb }),
        check: () => checkNode(node.id, node.port),
        stopSignal: 'SIGTERM',
        readyLimitMs: 120_000,
        stopLimitMs: 30_000,
      },
      site,
    )
    this.id = node.id
    this.passage = passage
  }
}

/** Starts so many nodes, each behind a passage of its own. `name`: of their folder. */
export async function openKafka(
  site: BedSite,
  name: string,
  count: number,
): Promise<{ bed: KafkaBed; close: () => Promise<void> }> {
  const java = await findKafka({ directory: site.directory, progress: site.say })
  const nodes = await chooseNodes(join(site.directory, 'kafka', name), count)
  const clusterId = randomClusterId()
  site.say(count === 1 ? 'starting Kafka …' : `starting ${count} nodes of Kafka …`)
  await Promise.all(nodes.map((node) => formatKafka(java, node, clusterId)))
  const servers = await Promise.all(
    nodes.map(async (node) => new KafkaServer(node, java, await openDetour(node), site, name)),
  )
  const close = async (): Promise<void> => {
    await Promise.all(servers.map(({ passage }) => passage.close()))
    await Promise.all(servers.map((server) => server.kill()))
  }
  try {
    await Promise.all(servers.map((server) => server.start()))
  } catch (error) {
    await close()
    throw error
  }
  const bed = {
    nodes: servers,
    brokers: nodes.map(({ port }) => `127.0.0.1:${port}`).join(','),
    brokersThroughPassages: servers.map(({ passage }) => passage.address).join(','),
    classpath: java.classpath,
  }
  return { bed, close }
}

type BedNode = KafkaNode & { readonly detour: { readonly port: number; readonly advertisedPort: number } }

async function chooseNodes(folder: string, count: number): Promise<BedNode[]> {
  const ports = await bedPorts(4 * count)
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
