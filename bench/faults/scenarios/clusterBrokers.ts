import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { ClusterRun, clusterEnv } from '../cluster/clusterRun.ts'
import type { KafkaNode } from '../cluster/clusterView.ts'
import type { Outcome, Scenario, ScenarioContext } from '../contract.ts'
import { Stage } from '../stage.ts'

/** What is done to one node, and undone. */
interface BrokerFault {
  readonly name: string
  readonly title: string
  readonly rounds: number
  begin(node: KafkaNode): Promise<void> | void
  /** Throws when the fault is not in force. */
  prove(node: KafkaNode): void
  /** The node leads nothing any more after a while, so that everything goes on although the fault lasts. */
  readonly deposes: boolean
  end(node: KafkaNode): Promise<void> | void
}

/** Longer than any connection needs to notice; ms, at least and at most. */
const lasting = { least: 1_000, most: 4_000 }
const deposedMs = 60_000

const dies: BrokerFault = {
  name: 'cluster-broker-dies',
  title: 'kill -9 of one of three brokers, also the controller and the coordinators, under ingest and replay',
  rounds: 6,
  begin: (node) => node.kill(),
  prove: (node) => require(!node.isRunning, `node ${node.id} runs`),
  deposes: true,
  end: (node) => node.start(),
}

const frozen: BrokerFault = {
  name: 'cluster-broker-frozen',
  title: 'SIGSTOP of one of three brokers past its session, then SIGCONT of a leader that is none any more',
  rounds: 6,
  begin: (node) => node.freeze(),
  prove: (node) => require(stateOf(node.pid) === 'T', `node ${node.id} is not stopped`),
  deposes: true,
  end: (node) => node.thaw(),
}

const cut: BrokerFault = {
  name: 'cluster-broker-cut',
  title: 'one of three brokers cut off from the platform but not from the others, its connections half-open',
  rounds: 6,
  begin: (node) => node.passage.deafen(),
  prove: () => undefined,
  deposes: false,
  end: (node) => node.passage.reset(),
}

export const clusterBrokerScenarios: readonly Scenario[] = [dies, frozen, cut].map((fault) => ({
  name: fault.name,
  group: 'cluster',
  title: fault.title,
  rounds: { full: fault.rounds, short: 0 },
  run: (context) =>
    Stage.with(context, fault.name, { kafka: 'cluster', temporal: true, env: clusterEnv }, (stage) =>
      run(stage, fault),
    ),
}))

async function run(stage: Stage, fault: BrokerFault): Promise<Outcome> {
  const { rounds, say } = stage.context
  const cluster = await ClusterRun.open(stage)
  const roles = new Map<string, number>()
  for (let round = 1; round <= rounds; round++) {
    await cluster.beforeFault()
    const target = await cluster.pickNode(round)
    say(`round ${round} of ${rounds}: ${fault.name} of node ${target.node.id}, ${target.because}`)
    roles.set(target.because, (roles.get(target.because) ?? 0) + 1)
    await oneRound(stage, cluster, fault, target.node)
  }
  const found = await cluster.finish()
  const hit = [...roles].map(([because, count]) => `${count} × ${because}`)
  return { rounds, faults: rounds, ...found, notes: [...found.notes, `nodes hit: ${hit.join(', ')}`] }
}

async function oneRound(
  stage: Stage,
  cluster: ClusterRun,
  fault: BrokerFault,
  node: KafkaNode,
): Promise<void> {
  const { context, roles } = stage
  await fault.begin(node)
  try {
    if (fault.deposes) {
      const deposed = cluster.view.untilDeposed(
        node,
        cluster.topics(),
        roles.waiting(`node ${node.id} to lead nothing`, deposedMs),
      )
      await Promise.all([deposed, cluster.untilMoving(`the fault of node ${node.id}`)])
    }
    await pauseAtRandom(context)
    fault.prove(node)
  } finally {
    await fault.end(node)
  }
  await cluster.untilMoving(`the end of the fault of node ${node.id}`)
}

const pauseAtRandom = ({ random, signal }: ScenarioContext): Promise<void> =>
  sleep(lasting.least + random.below(lasting.most - lasting.least), undefined, { signal })

function require(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(`the fault is not in force: ${otherwise}`)
}

/** Of proc(5): R, S, T… */
const stateOf = (pid: number): string => /\) (\S)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1] ?? ''
