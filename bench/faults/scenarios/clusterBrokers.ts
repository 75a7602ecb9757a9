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
  /** The node leads nothing any more after a while, so that everything goes on although the fault lasts. */
  readonly deposes: boolean
  /** How long it lasts, or goes on after all has moved; ms, at least and at most. */
  readonly lasts: { readonly least: number; readonly most: number }
  readonly recoveryBarMs?: number
  /** Returns what throws, at the end, when the fault was not in force. */
  begin(node: KafkaNode): Promise<() => void>
  end(node: KafkaNode): Promise<void> | void
}

const deposedMs = 60_000

const dies: BrokerFault = {
  name: 'cluster-broker-dies',
  title: 'kill -9 of one of three brokers, also the controller and the coordinators, under ingest and replay',
  rounds: 4,
  deposes: true,
  lasts: { least: 500, most: 2_000 },
  begin: async (node) => {
    await node.kill()
    return () => require(!node.isRunning, `node ${node.id} runs`)
  },
  end: (node) => node.start(),
}

const frozen: BrokerFault = {
  name: 'cluster-broker-frozen',
  title: 'SIGSTOP of one of three brokers past its session, then SIGCONT of a leader that is none any more',
  rounds: 5,
  deposes: true,
  lasts: { least: 500, most: 4_000 },
  // Its connections look well until a request has timed out: 6 s in consumers, 12 s in lanes, where more must follow.
  recoveryBarMs: 25_000,
  begin: async (node) => {
    node.freeze()
    return () => require(stateOf(node.pid) === 'T', `node ${node.id} is not stopped`)
  },
  end: (node) => node.thaw(),
}

/** Sometimes for longer than requests wait, sometimes not. */
const cut: BrokerFault = {
  name: 'cluster-broker-cut',
  title: 'one of three brokers cut off from the platform but not from the others, its connections half-open',
  rounds: 6,
  deposes: false,
  lasts: { least: 1_000, most: 16_000 },
  begin: async ({ id, passage }) => {
    passage.deafen()
    const before = passage.forwarded
    return () => require(passage.forwarded === before, `node ${id} is still reached`)
  },
  end: (node) => node.passage.reset(),
}

export const clusterBrokerScenarios: readonly Scenario[] = [dies, frozen, cut].map((fault) => ({
  name: fault.name,
  group: 'cluster',
  title: fault.title,
  rounds: { full: fault.rounds, short: 0 },
  ...(fault.recoveryBarMs !== undefined && { recoveryBarMs: fault.recoveryBarMs }),
  run: (context) =>
    Stage.with(context, fault.name, { kafka: 'cluster', temporal: true, env: clusterEnv }, (stage) =>
      ClusterRun.with(stage, (cluster) => run(stage, cluster, fault)),
    ),
}))

async function run(stage: Stage, cluster: ClusterRun, fault: BrokerFault): Promise<Outcome> {
  const { rounds, say } = stage.context
  const hits = new Map<string, number>()
  const elsewhere = { led: 0, grown: 0 }
  for (let round = 1; round <= rounds; round++) {
    await cluster.beforeFault()
    const { node, because } = await cluster.pickNode(round)
    say(`round ${round} of ${rounds}: ${fault.name} of node ${node.id}, ${because}`)
    hits.set(because, (hits.get(because) ?? 0) + 1)
    const { led, grown } = await cluster.ledByOthers(node, () => oneRound(stage, cluster, fault, node))
    elsewhere.led += led
    elsewhere.grown += grown
    await cluster.untilMoving(`the end of the fault of node ${node.id}`)
  }
  const found = await cluster.finish()
  const hit = [...hits].map(([because, count]) => `${count} × ${because}`)
  const { led, grown } = elsewhere
  return {
    rounds,
    faults: rounds,
    ...found,
    notes: [
      ...found.notes,
      `nodes hit: ${hit.join(', ')}; of ${led} partitions that others led, ${grown} went on meanwhile`,
    ],
  }
}

async function oneRound(
  { context, roles }: Stage,
  cluster: ClusterRun,
  fault: BrokerFault,
  node: KafkaNode,
): Promise<void> {
  const prove = await fault.begin(node)
  try {
    if (fault.deposes) {
      const waiting = roles.waiting(`node ${node.id} to lead nothing`, deposedMs)
      const deposed = cluster.view.untilDeposed(node, cluster.topics(), waiting)
      await Promise.all([deposed, cluster.untilMoving(`the fault of node ${node.id}`)])
    }
    await pauseAtRandom(context, fault.lasts)
    prove()
  } finally {
    await fault.end(node)
  }
}

const pauseAtRandom = (
  { random, signal }: ScenarioContext,
  { least, most }: BrokerFault['lasts'],
): Promise<void> => sleep(least + random.below(most - least), undefined, { signal })

function require(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(`the fault is not in force: ${otherwise}`)
}

/** Of proc(5): R, S, T… */
const stateOf = (pid: number): string => /\) (\S)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1] ?? ''
