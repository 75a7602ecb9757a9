import type { Admin } from 'kafkajs'
import { Client } from 'pg'
import type { LoadOptions } from './options.ts'

/** Where it can be seen how far the log has come. */
export interface CommitSource {
  /** For people. */
  readonly name: string
  readonly everyMs: number
  /** First offset that the log has not taken yet, by partition; partitions without a log are left out. */
  read(): Promise<ReadonlyMap<number, number>>
  close(): Promise<void>
}

/** The most exact that the options allow. */
export async function openCommitSource(options: LoadOptions, admin: Admin): Promise<CommitSource> {
  if (options.databaseUrl !== null) return fromDatabase(options.databaseUrl, options.topic)
  if (options.apiUrl !== null) return fromMetrics(options.apiUrl, options.topic)
  return fromGroup(admin, options)
}

async function fromDatabase(url: string, topic: string): Promise<CommitSource> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 10_000 })
  // A lost connection fails the query under way.
  client.on('error', () => undefined)
  await client.connect()
  return {
    name: 'partition_logs in PostgreSQL',
    everyMs: 5,
    async read() {
      const { rows } = await client.query<{ partition: number; next_offset: string }>({
        name: 'next-offsets',
        text: 'select partition, next_offset from partition_logs where topic = $1 order by incarnation',
        values: [topic],
      })
      return new Map(rows.map((row) => [row.partition, Number(row.next_offset)]))
    },
    close: () => client.end(),
  }
}

function fromMetrics(apiUrl: string, topic: string): CommitSource {
  return {
    name: `ingest_next_offset at ${apiUrl}/metrics`,
    everyMs: 25,
    async read() {
      const response = await fetch(`${apiUrl}/metrics`, { signal: AbortSignal.timeout(5_000) })
      if (!response.ok) throw new Error(`GET ${apiUrl}/metrics answered ${response.status}`)
      return readNextOffsets(await response.text(), topic)
    },
    close: async () => undefined,
  }
}

/** The gauge `ingest_next_offset` of one topic out of Prometheus' text format. */
export function readNextOffsets(metrics: string, topic: string): Map<number, number> {
  const next = new Map<number, number>()
  for (const line of metrics.split('\n')) {
    const found = /^ingest_next_offset\{([^}]*)\} (\d+)/.exec(line)
    if (found === null) continue
    const labels = new Map(
      [...(found[1] ?? '').matchAll(/(\w+)="([^"]*)"/g)].map((label) => [label[1], label[2]]),
    )
    if (labels.get('topic') === topic) next.set(Number(labels.get('partition')), Number(found[2]))
  }
  return next
}

function fromGroup(admin: Admin, { groupId, topic }: LoadOptions): CommitSource {
  return {
    name: `offsets of group ${groupId} (follow the log by up to half a second; set DATABASE_URL for exact figures)`,
    everyMs: 25,
    async read() {
      const [answer] = await admin.fetchOffsets({ groupId, topics: [topic] })
      return new Map(
        (answer?.partitions ?? [])
          .map(({ partition, offset }) => [partition, Number(offset)] as const)
          .filter(([, offset]) => offset >= 0),
      )
    },
    close: async () => undefined,
  }
}
