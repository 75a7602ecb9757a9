import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../source/random.ts'
import { ClusterRun, clusterEnv } from '../cluster/clusterRun.ts'
import type { ClusterView } from '../cluster/clusterView.ts'
import type { PartitionState } from '../cluster/requests.ts'
import type { Outcome, Scenario } from '../contract.ts'
import { Stage } from '../stage.ts'
import { until } from '../waiting.ts'

const movesPerRound = 8
const electionMs = 15_000

export const clusterLeadersMove: Scenario = {
  name: 'cluster-leaders-move',
  group: 'cluster',
  title:
    'leaders and replicas moved at random, those of groups and transactions too, under ingest and replay',
  rounds: { full: 12, short: 0 },
  run: (context) =>
    Stage.with(
      context,
      'cluster-leaders-move',
      { kafka: 'cluster', temporal: true, env: clusterEnv },
      (stage) => ClusterRun.with(stage, (cluster) => run(stage, cluster)),
    ),
}

async function run(stage: Stage, cluster: ClusterRun): Promise<Outcome> {
  const { rounds, random, say } = stage.context
  let [moved, internal] = [0, 0]
  for (let round = 1; round <= rounds; round++) {
    await cluster.beforeFault()
    const before = await cluster.view.partitions(cluster.topics())
    await moveSome(stage, cluster.view, before, random)
    await cluster.untilMoving(`moves of round ${round}`)
    const changed = changesBetween(before, await cluster.view.partitions(cluster.topics()))
    moved += changed.length
    internal += changed.filter(({ topic }) => topic.startsWith('__')).length
    say(`round ${round} of ${rounds}: ${moved} leaders moved`)
  }
  const found = await cluster.finish()
  return {
    rounds,
    faults: moved,
    ...found,
    problems: [...(moved < rounds ? [`only ${moved} leaders moved`] : []), ...found.problems],
    notes: [...found.notes, `${internal} of the ${moved} leaders that moved were coordinators`],
  }
}

const changesBetween = (
  before: readonly PartitionState[],
  after: readonly PartitionState[],
): PartitionState[] =>
  after.filter(({ topic, partition, leader }) =>
    before.some((old) => old.topic === topic && old.partition === partition && old.leader !== leader),
  )

/**
 * One partition after the other: its replicas get another order, sometimes with one left out for a while, and the first
 * of them is made the leader.
 */
async function moveSome(
  { context, roles }: Stage,
  view: ClusterView,
  states: readonly PartitionState[],
  random: Random,
): Promise<void> {
  for (let move = 0; move < movesPerRound; move++) {
    const [first, ...rest] = states
    if (first === undefined) throw new Error('there are no partitions')
    const place = random.pick([first, ...rest])
    const [leader = 0, ...others] = shuffled(place.replicas, random)
    const leftOut = random.below(4) === 0
    await view.reassign(place, leftOut ? [leader, ...others.slice(1)] : [leader, ...others])
    const waiting = roles.waiting(`an election of ${place.topic}/${place.partition}`, electionMs)
    await until(async () => {
      await view.electPreferred(place)
      const now = (await view.partitions([place.topic])).find(
        ({ partition }) => partition === place.partition,
      )
      return now?.leader === leader ? true : null
    }, waiting)
    if (leftOut) await view.reassign(place, [leader, ...others])
    await sleep(random.below(200), undefined, { signal: context.signal })
  }
}

function shuffled<T>(values: readonly T[], random: Random): T[] {
  const left = [...values]
  return values.map(() => left.splice(random.below(left.length), 1)[0] as T)
}
