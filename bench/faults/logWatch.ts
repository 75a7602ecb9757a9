import { Pool } from 'pg'
import { until, type Waiting } from './waiting.ts'

/** Source records that the logs have taken, by partition. */
export type Sizes = ReadonlyMap<number, number>

const answerLimitMs = 3_000

/**
 * How far a topic's logs are, asked on a connection of its own that may break at any time: a database that does not
 * answer is no error here but no answer.
 */
export class LogWatch {
  readonly #pool: Pool
  readonly #topic: string

  constructor(ownerUrl: string, topic: string) {
    this.#topic = topic
    this.#pool = new Pool({
      connectionString: ownerUrl,
      max: 1,
      connectionTimeoutMillis: answerLimitMs,
      query_timeout: answerLimitMs,
      application_name: 'fault campaign',
    })
    this.#pool.on('error', () => undefined)
  }

  /** Null when the database does not answer. The newest incarnation of each partition. */
  async sizes(): Promise<Sizes | null> {
    try {
      const { rows } = await this.#pool.query<{ partition: number; size: string }>(
        `select distinct on (partition) partition, size from partition_logs where topic = $1
          order by partition, incarnation desc`,
        [this.#topic],
      )
      return new Map(rows.map(({ partition, size }) => [partition, Number(size)]))
    } catch (error) {
      if (isAbsence(error)) return null
      throw error
    }
  }

  /** Leaves of all partitions together; waits for the database to answer. */
  async total(waiting: Waiting): Promise<number> {
    return sumOf(await until(() => this.sizes(), waiting))
  }

  /** Resolves when the logs hold at least so many leaves. */
  async untilLogged(goal: number, waiting: Waiting): Promise<void> {
    let last = 0
    await until(
      async () => {
        const sizes = await this.sizes()
        if (sizes !== null) last = sumOf(sizes)
        return last >= goal ? true : null
      },
      { ...waiting, explain: () => `${last} of ${goal} are logged\n${waiting.explain?.() ?? ''}` },
    )
  }

  /** Resolves when every partition has grown beyond what it was. */
  async untilAllGrow(before: Sizes, partitions: number, waiting: Waiting): Promise<void> {
    let standing: number[] = []
    await until(
      async () => {
        const now = await this.sizes()
        if (now === null) return null
        standing = Array.from({ length: partitions }, (_, partition) => partition).filter(
          (partition) => (now.get(partition) ?? 0) <= (before.get(partition) ?? 0),
        )
        return standing.length === 0 ? true : null
      },
      {
        ...waiting,
        explain: () => `partitions ${standing.join()} stand still\n${waiting.explain?.() ?? ''}`,
      },
    )
  }

  async close(): Promise<void> {
    await this.#pool.end()
  }
}

export const sumOf = (sizes: Sizes): number => [...sizes.values()].reduce((sum, size) => sum + size, 0)

/** SQLSTATE 08, 53, 57, and whatever has no SQLSTATE: sockets, time-outs. */
function isAbsence(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return !/^[0-9A-Z]{5}$/.test(code) || /^(08|53|57)/.test(code)
}
