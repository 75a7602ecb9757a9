import type { Client } from 'pg'
import type { Hash } from '../../src/domain/model.ts'
import type { LogFindings, OffsetRange } from '../judge/logAudit.ts'
import { auditLog } from '../judge/logCheck.ts'
import { inSnapshot, logsOf, type StoredLog } from '../judge/logRows.ts'
import { withClient } from '../run/world.ts'
import type { Damage, Score } from './contract.ts'
import { addDamage, noDamage } from './damage.ts'

export interface LogExpectations {
  /** Of the incarnation to judge; the newest one when left out. */
  readonly topicId?: string
  /** Its number, where several have one topic id. */
  readonly incarnation?: number
  /** How many incarnations each partition has; 1 when left out. */
  readonly incarnations?: number
  /** By partition: the log start when ingest came for the first time; 0 when left out. */
  readonly starts?: readonly number[]
  /** By partition: what Kafka had deleted when ingest came for it; none when left out. */
  readonly gaps?: readonly (readonly OffsetRange[])[]
}

export interface LogJudgement {
  readonly damage: Damage
  /** Rows of all kinds. */
  readonly rows: number
  /** What is wrong beside the damage, and the first few damaged records, in words. */
  readonly problems: readonly string[]
  readonly deadLetters: ReadonlyMap<string, number>
  /** By partition: how many events there are, and the root over their leaves; what a receipt must say. */
  readonly events: ReadonlyMap<number, { readonly count: number; readonly root: Hash }>
  /** By partition: the root over all leaves. */
  readonly roots: ReadonlyMap<number, Hash>
}

/**
 * Reads the topic's logs back by SQL, row by row, and holds them against the score and against the bytes that they
 * hold. `ownerUrl`: the database, directly.
 */
export const judgeLog = (
  ownerUrl: string,
  score: Score,
  expectations: LogExpectations,
  signal: AbortSignal,
): Promise<LogJudgement> =>
  withClient(ownerUrl, (client) => inSnapshot(client, () => judgeLogIn(client, score, expectations, signal)))

/** As `judgeLog`, as the transaction sees it that the connection is in. */
export async function judgeLogIn(
  client: Client,
  score: Score,
  expectations: LogExpectations,
  signal: AbortSignal,
): Promise<LogJudgement> {
  const sum = new Summary()
  const logs = await logsOf(client, score.topic)
  for (const log of logs) if (log.partition >= score.partitions) sum.foreignLog(log)
  for (const [partition, table] of score.tables.entries()) {
    const lives = logs.filter((log) => log.partition === partition)
    const log = pick(lives, expectations)
    sum.lives(partition, lives.length, expectations.incarnations ?? 1)
    const expected = {
      table,
      start: expectations.starts?.[partition] ?? 0,
      end: score.ends[partition] ?? 0,
      gaps: expectations.gaps?.[partition] ?? [],
    }
    if (log === undefined) sum.missingLog(partition, table.size - table.firstFrom(expected.start))
    else sum.add(partition, await auditLog(client, log, expected, signal))
  }
  return sum.judgement()
}

const pick = (
  lives: readonly StoredLog[],
  { topicId, incarnation }: LogExpectations,
): StoredLog | undefined =>
  lives.findLast(
    (log) =>
      (topicId === undefined || log.topicId === topicId) &&
      (incarnation === undefined || log.incarnation === incarnation),
  )

class Summary {
  #damage: Damage = noDamage
  #rows = 0
  readonly #problems: string[] = []
  readonly #deadLetters = new Map<string, number>()
  readonly #events = new Map<number, { count: number; root: Hash }>()
  readonly #roots = new Map<number, Hash>()

  foreignLog(log: StoredLog): void {
    this.#damage = addDamage(this.#damage, { ...noDamage, doubled: Number(log.size) })
    this.#problems.push(`there is a log for partition ${log.partition}, which the topic does not have`)
  }

  lives(partition: number, found: number, expected: number): void {
    if (found === expected) return
    this.#problems.push(`partition ${partition} has ${found} incarnations instead of ${expected}`)
  }

  /** Nothing was ever ingested of it. */
  missingLog(partition: number, records: number): void {
    this.#damage = addDamage(this.#damage, { ...noDamage, lost: records })
    if (records > 0) this.#problems.push(`partition ${partition} has no log`)
  }

  add(partition: number, found: LogFindings): void {
    this.#damage = addDamage(this.#damage, found)
    this.#rows += found.rows
    this.#problems.push(...found.problems, ...found.examples)
    for (const [code, count] of found.deadLetters)
      this.#deadLetters.set(code, (this.#deadLetters.get(code) ?? 0) + count)
    this.#events.set(partition, found.events)
    this.#roots.set(partition, found.root)
  }

  judgement(): LogJudgement {
    return {
      damage: this.#damage,
      rows: this.#rows,
      problems: this.#problems,
      deadLetters: this.#deadLetters,
      events: this.#events,
      roots: this.#roots,
    }
  }
}
