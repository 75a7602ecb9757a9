import { digestRecord } from '../../judge/digest.ts'
import type { RoleProcess } from '../../run/roles.ts'
import { formatCount, formatSeconds } from '../../run/say.ts'
import { withClient } from '../../run/world.ts'
import { BatchProducer } from '../../source/producer.ts'
import { makeBomb, makeLargeBatch, type PackedBatch } from '../bombs.ts'
import type { Outcome, Scenario } from '../contract.ts'
import { judgeLog } from '../judgeLog.ts'
import { judgeSource } from '../judgeTarget.ts'
import { LoadedTopic, startIngest } from '../loadedTopic.ts'
import { peakMemoryOf } from '../peakMemory.ts'
import { RecoveryClock } from '../recovery.ts'
import { Stage } from '../stage.ts'

const partitions = 6
const everyPartition = Array.from({ length: partitions }, (_, partition) => partition)
const ratePerSecond = 800
const patienceMs = 120_000
const codecs = ['gzip', 'snappy', 'lz4', 'zstd'] as const
/**
 * Design §11 for a role at full speed, and three batches of the largest size that is opened: the one that is, and those
 * before it that are not collected yet; however many partitions there are.
 */
const memoryBarBytes = (400 + 3 * 64) * 1024 * 1024
/** Of a batch: what the broker writes into it (base offset, length, leader epoch) comes first. */
const brokersBytes = 16

export const ingestBomb: Scenario = {
  name: 'ingest-bomb',
  group: 'ingest',
  title:
    'batches that unpack to 200 MB, packed with every codec, among others; ingest killed over some of them',
  rounds: { full: 2, short: 0 },
  run: (context) => Stage.with(context, 'ingest-bomb', {}, run),
}

async function run(stage: Stage): Promise<Outcome> {
  const config = { 'max.message.bytes': String(12 * 1024 * 1024) }
  const topic = await LoadedTopic.create(stage, 'source', { partitions, config })
  const producer = await BatchProducer.connect(stage.world.admin, topic.name)
  try {
    return await new BombRun(stage, topic, producer).run()
  } finally {
    producer.close()
    await topic.load.stop()
  }
}

interface Bomb {
  readonly partition: number
  readonly offset: number
  readonly batch: PackedBatch
}

class BombRun {
  readonly #stage: Stage
  readonly #topic: LoadedTopic
  readonly #producer: BatchProducer
  readonly #clock = new RecoveryClock()
  readonly #problems: string[] = []
  readonly #sent: Bomb[] = []
  #peakBytes = 0
  #kills = 0

  constructor(stage: Stage, topic: LoadedTopic, producer: BatchProducer) {
    this.#stage = stage
    this.#topic = topic
    this.#producer = producer
  }

  async run(): Promise<Outcome> {
    const { context, roles } = this.#stage
    const { rounds, say } = context
    say('packing')
    const bombs = codecs.map(makeBomb)
    await this.#topic.load.start(ratePerSecond)
    let role = await startIngest(this.#stage, [this.#topic])
    await this.#topic.untilAllGrow(new Map(), this.#waiting('the first rows'))
    for (let round = 1; round <= rounds; round++) {
      role = await this.#round(role, bombs, round % 2 === 0)
      say(`round ${round} of ${rounds}: ${this.#sent.length} bombs, ${mebibytes(this.#peakBytes)} at most`)
    }
    await this.#topic.untilTaken(this.#waiting('the rest of the rows'))
    this.#measure(role)
    await roles.stop(role)
    return this.#outcome()
  }

  /** One of every kind on one partition; or one on every partition before the process starts. */
  async #round(running: RoleProcess, bombs: readonly PackedBatch[], isFlood: boolean): Promise<RoleProcess> {
    const { random } = this.#stage.context
    const { load } = this.#topic
    let role = running
    await load.pause()
    if (isFlood) await this.#end(role)
    const before = (await this.#topic.watch.sizes()) ?? new Map()
    const places = isFlood ? everyPartition : [random.below(partitions)]
    for (const partition of places) {
      const large = makeLargeBatch(random.pick(codecs), random.next())
      const some = bombs.filter((_, index) => !isFlood || index === partition % bombs.length)
      for (const batch of [...some, large]) await this.#send(batch, partition)
    }
    if (!isFlood && random.below(2) === 0) await this.#end(role)
    if (!role.isRunning) role = await startIngest(this.#stage, [this.#topic])
    this.#clock.fault()
    await load.start(ratePerSecond)
    await this.#topic.untilAllGrow(before, this.#waiting('rows behind the bombs'))
    await this.#topic.untilTaken(this.#waiting('everything behind the bombs'))
    this.#clock.moved()
    this.#measure(role)
    await load.start(ratePerSecond)
    return role
  }

  async #end(role: RoleProcess): Promise<void> {
    this.#measure(role)
    await this.#stage.roles.kill(role)
    this.#kills++
  }

  async #send(batch: PackedBatch, partition: number): Promise<void> {
    const isBomb = !batch.name.startsWith('large')
    const offset = await this.#producer.send(partition, batch.bytes)
    const table = this.#topic.score().tables[partition]
    const digests = new Map(batch.records.map((record) => [record, digestRecord(record)]))
    for (const [index, record] of batch.records.entries()) {
      const digest = digests.get(record) ?? digestRecord(record)
      table?.add(offset + index, digest, isBomb ? 'UNDECODABLE_BATCH' : 'accepted')
    }
    if (isBomb) this.#sent.push({ partition, offset, batch })
  }

  #measure({ pid, isRunning }: RoleProcess): void {
    if (isRunning) this.#peakBytes = Math.max(this.#peakBytes, peakMemoryOf(pid) ?? 0)
  }

  async #outcome(): Promise<Outcome> {
    const { context, kafka, ownerUrl } = this.#stage
    const { rounds, reader, say, signal } = context
    const score = this.#topic.score()
    say('reading everything back')
    const log = await judgeLog(ownerUrl, score, {}, signal)
    const source = await judgeSource(reader, kafka.brokers, score, signal)
    const letters = await bombsKept(ownerUrl, this.#topic.name)
    for (const bomb of this.#sent) {
      const kept = letters.get(`${bomb.partition}/${bomb.offset}`)
      if (kept?.subarray(brokersBytes).equals(bomb.batch.bytes.subarray(brokersBytes)) !== true)
        this.#problems.push(`the ${bomb.batch.name} bomb is not kept as it was sent`)
    }
    if (letters.size !== this.#sent.length)
      this.#problems.push(`${letters.size} dead letters for ${this.#sent.length} bombs`)
    if (this.#peakBytes > memoryBarBytes)
      this.#problems.push(
        `the process took ${mebibytes(this.#peakBytes)}, the bar is ${mebibytes(memoryBarBytes)}`,
      )
    return {
      rounds,
      faults: this.#sent.length + this.#kills,
      events: score.tables.reduce((sum, { size }) => sum + size, 0),
      damage: log.damage,
      // Opening them takes what it takes.
      longestRecoveryMs: null,
      problems: [...this.#problems, ...log.problems, ...source],
      notes: [
        `${this.#sent.length} bombs, of each codec; the process took ${mebibytes(this.#peakBytes)} at most; ` +
          `${this.#kills} kills; all that lay behind was taken within ${formatSeconds((this.#clock.longestMs ?? 0) / 1000)}`,
      ],
    }
  }

  #waiting(what: string) {
    return this.#stage.roles.waiting(what, patienceMs)
  }
}

/** By `partition/offset`. */
const bombsKept = (ownerUrl: string, topic: string): Promise<ReadonlyMap<string, Buffer>> =>
  withClient(ownerUrl, async (client) => {
    const { rows } = await client.query<{ place: string; value: Buffer }>(
      `select l.partition || '/' || d."offset" as place, d.value from dead_letters d join partition_logs l on l.id = d.log_id
        where l.topic = $1 and d.code = 'UNDECODABLE_BATCH'`,
      [topic],
    )
    return new Map(rows.map(({ place, value }) => [place, value]))
  })

const mebibytes = (bytes: number): string => `${formatCount(bytes / 1024 / 1024)} MiB`
