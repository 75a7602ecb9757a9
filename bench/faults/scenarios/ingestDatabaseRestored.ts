import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Api, CheckpointAnswer } from '../../run/api.ts'
import type { RoleProcess } from '../../run/roles.ts'
import { formatCount } from '../../run/say.ts'
import { checkCheckpoints } from '../checkpointCheck.ts'
import { ConsumerGroup } from '../consumerGroup.ts'
import type { Outcome, Scenario } from '../contract.ts'
import { Cycle } from '../cycle.ts'
import { addDamage } from '../damage.ts'
import { DatabaseBackup } from '../databaseBackup.ts'
import { judgeLog } from '../judgeLog.ts'
import { judgeSource } from '../judgeTarget.ts'
import { LoadedTopic, startIngest } from '../loadedTopic.ts'
import { RecoveryClock } from '../recovery.ts'
import type { LogRowNow } from '../sourceLogs.ts'
import { Stage } from '../stage.ts'
import { until } from '../waiting.ts'

const partitions = 3
const ratePerSecond = 900
const patienceMs = 120_000
const longestAbsenceMs = 2_000

/** What ingest does while the database is taken away and put back. */
const states = ['running', 'frozen', 'killed', 'stopped'] as const
type State = (typeof states)[number]

export const ingestDatabaseRestored: Scenario = {
  name: 'ingest-database-restored',
  group: 'ingest',
  title: 'the database put back to an older backup, under a running ingest too',
  rounds: { full: 8, short: 0 },
  run: (context) => Stage.with(context, 'ingest-database-restored', { temporal: true }, run),
}

async function run(stage: Stage): Promise<Outcome> {
  const topics = [await LoadedTopic.create(stage, 'source', { partitions })]
  // Each is empty until its round: backups know its logs empty, or not at all.
  for (let round = 1; round <= stage.context.rounds; round++)
    topics.push(await LoadedTopic.create(stage, `later-${round}`, { partitions }))
  const restored = new RestoredRun(stage, topics)
  try {
    return await restored.run()
  } finally {
    await Promise.all(topics.map(({ load }) => load.stop()))
    await restored.backup.discard()
  }
}

class RestoredRun {
  readonly backup: DatabaseBackup
  readonly #stage: Stage
  readonly #topics: readonly LoadedTopic[]
  readonly #source: LoadedTopic
  readonly #clock = new RecoveryClock()
  readonly #problems: string[] = []
  readonly #checkpoints: CheckpointAnswer[] = []
  #lost = 0
  /** The source's logs when the backup was taken. */
  #backedUp: ReadonlyMap<number, LogRowNow> = new Map()

  constructor(stage: Stage, topics: readonly LoadedTopic[]) {
    const [source] = topics
    if (source === undefined) throw new Error('there is no topic')
    this.#stage = stage
    this.#topics = topics
    this.#source = source
    this.backup = new DatabaseBackup(stage.ownerUrl)
  }

  async run(): Promise<Outcome> {
    const { context, roles } = this.#stage
    const { rounds, random, say } = context
    const { api } = await this.#stage.startApi()
    await roles.startReady('worker', this.#stage.directEnv)
    const cycle = new Cycle(states, random)
    await this.#takeBackup()
    await this.#source.load.start(ratePerSecond)
    let role = await this.#start()
    await this.#source.untilAllGrow(new Map(), this.#waiting('the first rows'))
    for (let round = 1; round <= rounds; round++) {
      const state = cycle.next()
      role = await this.#round(role, api, { state, later: this.#topics[round] })
      say(`round ${round} of ${rounds}: put back while ${state}, ${formatCount(this.#lost)} rows lost so far`)
    }
    for (const topic of this.#topics) await topic.untilTaken(this.#waiting(`the rest of ${topic.name}`))
    await roles.stopAll()
    return this.#outcome()
  }

  async #round(
    running: RoleProcess,
    api: Api,
    { state, later }: { readonly state: State; readonly later: LoadedTopic | undefined },
  ): Promise<RoleProcess> {
    const { random, signal } = this.#stage.context
    // Now and then an older backup is put back once more.
    if (random.below(4) > 0) await this.#takeBackup()
    await this.#checkpoint(api)
    await later?.load.produceBatches(2 * partitions)
    await later?.untilTaken(this.#waiting('a topic that was empty'))
    await sleep(random.below(1_500), undefined, { signal })
    await this.#checkpoint(api)
    await this.#untilGroupIsAhead()
    const role = await this.#putBack(running, state)
    const before = (await this.#source.watch.sizes()) ?? new Map()
    await this.#source.untilAllGrow(before, this.#waiting(`rows after the database was put back (${state})`))
    this.#clock.moved()
    await this.#untilWarned(role, state)
    await this.#source.untilTaken(this.#waiting('everything that was lost, again'))
    await this.#source.load.start(ratePerSecond)
    return role
  }

  async #takeBackup(): Promise<void> {
    await this.backup.take()
    this.#backedUp = await this.#source.logs.newest()
  }

  /** The group is told of what is logged a moment later: before that nobody but PostgreSQL knows what it loses. */
  async #untilGroupIsAhead(): Promise<void> {
    const { world } = this.#stage
    const group = new ConsumerGroup(world.admin, world.name)
    const isAhead = async (): Promise<true | null> => {
      const offsets = await group.offsets(this.#source.name)
      const ahead = [...offsets].filter(
        ([partition, at]) => at > (this.#backedUp.get(partition)?.nextOffset ?? 0),
      )
      return ahead.length > 0 ? true : null
    }
    await until(isAhead, this.#waiting('the group to be told of rows that the backup lacks'))
  }

  async #putBack(role: RoleProcess, state: State): Promise<RoleProcess> {
    const { context, roles } = this.#stage
    if (state === 'frozen') role.freeze()
    if (state === 'killed') await roles.kill(role)
    if (state === 'stopped') await roles.stop(role)
    const had = await this.#total()
    await this.backup.putBack(context.random.below(longestAbsenceMs))
    const has = await this.#total()
    if (has >= had) this.#problems.push(`the backup lacks nothing: ${has} rows, ${had} before (${state})`)
    this.#lost += Math.max(0, had - has)
    if (state === 'frozen') role.thaw()
    this.#clock.fault(state)
    return role.isRunning ? role : this.#start()
  }

  async #checkpoint(api: Api): Promise<void> {
    const { name } = this.#source
    // The API has just lost its connections, too.
    const taken = await until(
      () => api.createCheckpoint({ topic: name }).catch(() => null),
      this.#waiting('a checkpoint'),
    )
    this.#checkpoints.push(taken)
  }

  /** It says that PostgreSQL has lost what it had acknowledged. */
  async #untilWarned(role: RoleProcess, state: State): Promise<void> {
    const isWarned = (): true | null =>
      readFileSync(role.logFile, 'utf8').slice(this.#read).includes(warning) ? true : null
    await until(isWarned, this.#waiting(`the warning after the database was put back (${state})`))
    this.#read = readFileSync(role.logFile, 'utf8').length
  }

  /** How far the log of the processes was read. */
  #read = 0

  async #total(): Promise<number> {
    let sum = 0
    for (const { logs } of this.#topics) for (const { size } of await logs.all()) sum += size
    return sum
  }

  #start(): Promise<RoleProcess> {
    return startIngest(this.#stage, this.#topics)
  }

  async #outcome(): Promise<Outcome> {
    const { context, kafka, ownerUrl } = this.#stage
    const { rounds, reader, say, signal } = context
    say('reading everything back')
    const judged = []
    for (const topic of this.#topics) judged.push(await judgeLog(ownerUrl, topic.score(), {}, signal))
    const signed = await checkCheckpoints(ownerUrl, this.#source.name, this.#checkpoints)
    const source = await judgeSource(reader, kafka.brokers, this.#source.score(), signal)
    return {
      rounds,
      faults: rounds,
      events: this.#topics.reduce((sum, topic) => sum + topic.score().produced, 0),
      damage: judged.map(({ damage }) => damage).reduce(addDamage),
      longestRecoveryMs: this.#clock.longestMs,
      problems: [...this.#problems, ...judged.flatMap(({ problems }) => problems), ...signed, ...source],
      notes: [
        `${formatCount(this.#lost)} rows were lost with the database and ingested again; ` +
          `${this.#checkpoints.length} checkpoints that were published before are still true`,
        this.#clock.byKind(),
      ],
    }
  }

  #waiting(what: string) {
    return this.#stage.roles.waiting(what, patienceMs)
  }
}

const warning = 'the group is ahead of the log'
