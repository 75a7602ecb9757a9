import { setTimeout as sleep } from 'node:timers/promises'
import type { RoleProcess } from '../../run/roles.ts'
import { formatCount } from '../../run/say.ts'
import { withClient } from '../../run/world.ts'
import { CompactedTopic } from '../compactedTopic.ts'
import type { Damage, Outcome, Scenario } from '../contract.ts'
import { addDamage, noDamage } from '../damage.ts'
import { batchSettings } from '../ingestUnderLoad.ts'
import { judgeLog } from '../judgeLog.ts'
import { RecoveryClock } from '../recovery.ts'
import { SourceLogs } from '../sourceLogs.ts'
import { Stage } from '../stage.ts'

const partitions = 2
const settledBatches = 3_000
/** The smallest that there is: emptied batches fill whole fetches. */
const fetchBytes = 65_536
const killsPerRound = 3
const patienceMs = 90_000

export const ingestCompaction: Scenario = {
  name: 'ingest-compaction',
  group: 'ingest',
  title:
    'a compacted topic, settled and while the cleaner works: holes, emptied batches, aborted transactions',
  rounds: { full: 2, short: 0 },
  run: (context) =>
    Stage.with(context, 'ingest-compaction', { env: { KAFKA_FETCH_MAX_BYTES: String(fetchBytes) } }, run),
}

async function run(stage: Stage): Promise<Outcome> {
  const { rounds, say } = stage.context
  const run = new CompactionRun(stage)
  for (let round = 1; round <= rounds; round++) {
    await run.round(round)
    say(`round ${round} of ${rounds}: ${formatCount(run.removed)} records taken away so far`)
  }
  return run.outcome()
}

class CompactionRun {
  /** Records that compaction has taken away. */
  removed = 0
  #emptied = 0
  #longestBytes = 0
  #kills = 0
  #judged = 0
  #damage: Damage = noDamage
  readonly #stage: Stage
  readonly #problems: string[] = []
  readonly #clock = new RecoveryClock()

  constructor(stage: Stage) {
    this.#stage = stage
  }

  /** A topic of its own: first read when nothing more is taken away, then read while it grows and is cleaned. */
  async round(round: number): Promise<void> {
    const { roles, ownerUrl } = this.#stage
    const topic = await CompactedTopic.create(this.#stage, `source-${round}`, partitions)
    const logs = new SourceLogs(ownerUrl, topic.name)
    await topic.write(settledBatches)
    const settled = await topic.untilSettled()
    const settledEnds = await topic.ends()
    let role = await this.#start(topic)
    await logs.untilAt(settledEnds, this.#waiting('the settled topic to be taken'))
    await this.#checkSettled(topic, settled, settledEnds)
    const stop = new AbortController()
    const writing = topic.writeUntil(stop.signal)
    writing.catch(() => undefined)
    try {
      for (let kill = 0; kill < killsPerRound; kill++) role = await this.#kill(role, topic)
    } finally {
      stop.abort()
    }
    await writing
    await logs.untilAt(await topic.ends(), this.#waiting('everything to be taken'))
    await roles.stop(role)
    await this.#judge(topic)
  }

  async outcome(): Promise<Outcome> {
    const { rounds } = this.#stage.context
    if (this.#longestBytes <= fetchBytes) this.#problems.push('no fetch was full of emptied batches')
    return {
      rounds,
      faults: this.removed,
      events: this.#judged,
      damage: this.#damage,
      longestRecoveryMs: this.#clock.longestMs,
      problems: this.#problems,
      notes: [
        `${formatCount(this.removed)} records were taken away by compaction, ${formatCount(this.#emptied)} batches are ` +
          `empty, ${formatCount(this.#longestBytes)} bytes of them in a row; ${this.#kills} kills`,
      ],
    }
  }

  /** Exactly what Java reads. */
  async #checkSettled(
    topic: CompactedTopic,
    settled: Awaited<ReturnType<CompactedTopic['read']>>,
    ends: readonly number[],
  ): Promise<void> {
    const { ownerUrl, context } = this.#stage
    const score = topic.score((partition, offset) => settled[partition]?.has(offset) === true, ends)
    const found = settled.reduce((sum, { size }) => sum + size, 0)
    if (score.produced !== found) this.#problems.push(`${found - score.produced} records were never written`)
    if (found >= topic.size) this.#problems.push('nothing was taken away')
    const log = await judgeLog(ownerUrl, score, {}, context.signal)
    this.#damage = addDamage(this.#damage, log.damage)
    this.#judged += score.produced
    this.#problems.push(...log.problems.map((problem) => `settled: ${problem}`))
  }

  async #kill(running: RoleProcess, topic: CompactedTopic): Promise<RoleProcess> {
    const { context, roles } = this.#stage
    await sleep(context.random.below(1_000), undefined, { signal: context.signal })
    await roles.kill(running)
    this.#clock.fault()
    this.#kills++
    const role = await this.#start(topic)
    const watch = this.#stage.watch(topic.name)
    await watch.untilAllGrow(
      (await watch.sizes()) ?? new Map(),
      partitions,
      this.#waiting('rows after a kill'),
    )
    this.#clock.moved()
    return role
  }

  /** Whatever Kafka has now must be there, and nothing that was not written. */
  async #judge(topic: CompactedTopic): Promise<void> {
    const { ownerUrl, context } = this.#stage
    const left = await topic.untilSettled()
    const taken = await offsetsOf(ownerUrl, topic.name)
    const isThere = (partition: number, offset: number): boolean =>
      left[partition]?.has(offset) === true || taken.has(`${partition}/${offset}`)
    const score = topic.score(isThere, await topic.ends())
    const log = await judgeLog(ownerUrl, score, {}, context.signal)
    this.#damage = addDamage(this.#damage, log.damage)
    this.#judged += score.produced
    this.#problems.push(...log.problems)
    this.removed += topic.size - left.reduce((sum, { size }) => sum + size, 0)
    const { count, longestBytes } = await topic.emptied()
    this.#emptied += count
    this.#longestBytes = Math.max(this.#longestBytes, longestBytes)
  }

  #start({ name }: CompactedTopic): Promise<RoleProcess> {
    const { context, roles } = this.#stage
    return roles.start('ingest', { KAFKA_TOPICS: name, ...context.random.pick(batchSettings) })
  }

  #waiting(what: string) {
    return this.#stage.roles.waiting(what, patienceMs)
  }
}

/** `partition/offset` of every record that the logs hold. */
const offsetsOf = (ownerUrl: string, topic: string): Promise<ReadonlySet<string>> =>
  withClient(ownerUrl, async (client) => {
    const { rows } = await client.query<{ place: string }>(
      `select l.partition || '/' || r."offset" as place from partition_logs l
         join (select log_id, "offset" from events union all select log_id, "offset" from dead_letters) r on r.log_id = l.id
        where l.topic = $1`,
      [topic],
    )
    return new Set(rows.map(({ place }) => place))
  })
