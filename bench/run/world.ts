import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import kafkajs, { type Admin } from 'kafkajs'
import { Client, escapeIdentifier } from 'pg'
import type { StackEnvironment } from '../../stack/environment.ts'
import { migrate } from '../../stack/migrate.ts'
import { defaultStackDirectory } from '../../stack/paths.ts'
import { type Role, RoleProcess } from './roles.ts'
import { createTopic } from './topics.ts'

/** Servers to work on. */
export interface Servers {
  readonly env: StackEnvironment
}

export interface WorldOptions {
  /** Folder for the logs of roles; the local stack's when left out. */
  readonly logs?: string
}

export interface RoleStart {
  /** Tells it and its log from other processes of the role. */
  readonly label?: string
  /** The sources that it runs; this checkout's when left out. */
  readonly sourceRoot?: string | undefined
}

/** What one run has made for itself on the servers, all of it named after the run; `close` takes it away again. */
export class World {
  /** In the name of everything that the run makes: `demo-1a2b3c4d`. */
  readonly name: string
  readonly env: StackEnvironment
  readonly admin: Admin
  readonly #logs: string
  readonly #topics: string[] = []
  readonly #databases: string[] = []
  readonly #roles: RoleProcess[] = []

  private constructor(name: string, env: StackEnvironment, admin: Admin, logs: string) {
    this.name = name
    this.env = env
    this.admin = admin
    this.#logs = logs
  }

  static async open(prefix: string, { env }: Servers, options: WorldOptions = {}): Promise<World> {
    const kafka = new kafkajs.Kafka({
      clientId: prefix,
      brokers: env.KAFKA_BROKERS.split(','),
      logLevel: kafkajs.logLevel.NOTHING,
      connectionTimeout: 10_000,
      retry: { retries: 12, initialRetryTime: 20, maxRetryTime: 500 },
    })
    const admin = kafka.admin()
    await admin.connect()
    const logs = options.logs ?? join(defaultStackDirectory, 'logs')
    return new World(`${prefix}-${randomBytes(4).toString('hex')}`, env, admin, logs)
  }

  /** A migrated database of its own: the addresses of the application's role and of the owner in it. */
  async createDatabase(suffix = ''): Promise<{ name: string; appUrl: string; ownerUrl: string }> {
    const name = `${this.name}${suffix}`.replaceAll('-', '_')
    const appUrl = withDatabase(this.env.DATABASE_URL, name)
    this.#databases.push(name)
    await migrate({ ...this.env, DATABASE_URL: appUrl })
    return { name, appUrl, ownerUrl: withDatabase(this.env.DATABASE_ADMIN_URL, name) }
  }

  async dropDatabase(name: string): Promise<void> {
    await dropDatabases(this.env, [name])
    this.#databases.splice(this.#databases.indexOf(name), 1)
  }

  /** Events carry old timestamps: nothing may expire. */
  async createTopic(
    suffix: string,
    partitions: number,
    config: Readonly<Record<string, string>> = {},
  ): Promise<string> {
    const topic = this.topicName(suffix)
    await createTopic(this.admin, topic, partitions, { 'retention.ms': '-1', ...config })
    return topic
  }

  /** Name of a topic that is deleted at the end, whoever makes it. */
  topicName(suffix: string): string {
    const topic = `${this.name}-${suffix}`
    this.#topics.push(topic)
    return topic
  }

  /** Starts a role; what `env` does not say comes from the environment of this process. */
  async startRole(
    role: Role,
    env: Readonly<Record<string, string>>,
    { label = role, sourceRoot }: RoleStart = {},
  ): Promise<RoleProcess> {
    const started = await RoleProcess.start({
      role,
      env: { ...process.env, ...this.env, ...env },
      label,
      logFile: join(this.#logs, `${this.name}-${label}.log`),
      sourceRoot,
    })
    this.#roles.push(started)
    return started
  }

  get roles(): readonly RoleProcess[] {
    return this.#roles.filter((role) => role.isRunning)
  }

  get leftovers(): Leftovers {
    return { env: this.env, topics: this.#topics, databases: this.#databases }
  }

  /**
   * Stops the roles, takes away topics and databases, and the roles' logs too unless somebody may want to read them.
   * Goes on after a failure and throws it at the end.
   */
  async close({ keepLogs }: { readonly keepLogs: boolean }): Promise<void> {
    const stopped = await Promise.allSettled(this.#roles.map((role) => role.stop()))
    const removed = await Promise.allSettled([removeLeftovers(this.leftovers, this.admin)])
    await this.admin.disconnect()
    if (!keepLogs) for (const { logFile } of this.#roles) rmSync(logFile, { force: true })
    for (const result of [...stopped, ...removed]) if (result.status === 'rejected') throw result.reason
  }

  /** Leaves everything as it is, running roles included. */
  async leave(): Promise<void> {
    for (const role of this.#roles) role.leave()
    await this.admin.disconnect()
  }
}

export interface Leftovers {
  readonly env: StackEnvironment
  readonly topics: readonly string[]
  readonly databases: readonly string[]
}

export async function removeLeftovers({ env, topics, databases }: Leftovers, admin: Admin): Promise<void> {
  const known = new Set(await admin.listTopics())
  const present = topics.filter((topic) => known.has(topic))
  if (present.length > 0) await admin.deleteTopics({ topics: present })
  await dropDatabases(env, databases)
}

const dropDatabases = (env: StackEnvironment, names: readonly string[]): Promise<void> =>
  withClient(env.DATABASE_ADMIN_URL, async (client) => {
    for (const name of names)
      await client.query(`drop database if exists ${escapeIdentifier(name)} with (force)`)
  })

/** The same server and role, another database. */
export function withDatabase(url: string, database: string): string {
  const changed = new URL(url)
  changed.pathname = `/${database}`
  return changed.href
}

/** Runs `work` on a connection of its own. */
export async function withClient<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 10_000 })
  // A lost connection fails the query under way.
  client.on('error', () => undefined)
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
