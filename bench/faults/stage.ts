import { join } from 'node:path'
import { type Api, createApi } from '../run/api.ts'
import type { RoleProcess } from '../run/roles.ts'
import { World, withDatabase } from '../run/world.ts'
import type { KafkaBed, PostgresBed, ScenarioContext, TemporalBed } from './contract.ts'
import { LogWatch } from './logWatch.ts'
import { type Environment, Roles } from './roles.ts'

export interface StageNeeds {
  /** One node when left out. */
  readonly kafka?: 'one' | 'cluster'
  /** For whatever replays; without it there is no Temporal. */
  readonly temporal?: boolean
  /** For the roles, on top of what the stage says. */
  readonly env?: Environment
  /** The sources that the roles run; this checkout's when left out. */
  readonly sourceRoot?: string
}

/** As short as the broker admits, so that a killed member's partitions are soon given to others. */
export const sessionTimeoutMs = 3_000

/**
 * What one scenario has for itself on the bed: a database, topics, roles; all of it named after the scenario, and taken
 * away at the end. Roles reach the servers through the passages; admin, database and load go directly.
 */
export class Stage {
  readonly context: ScenarioContext
  readonly world: World
  readonly kafka: KafkaBed
  readonly postgres: PostgresBed
  /** Null when the scenario does not need it. */
  readonly temporal: TemporalBed | null
  readonly ownerUrl: string
  readonly appUrl: string
  readonly roles: Roles
  /** What the roles get. */
  readonly env: Environment
  readonly #watches: LogWatch[] = []

  private constructor(context: ScenarioContext, parts: StageParts, needs: StageNeeds) {
    this.context = context
    this.world = parts.world
    this.kafka = parts.kafka
    this.postgres = parts.postgres
    this.temporal = parts.temporal
    this.ownerUrl = parts.database.ownerUrl
    this.appUrl = parts.database.appUrl
    this.env = {
      ...environmentOf(parts),
      ...needs.env,
    }
    this.roles = new Roles(parts.world, this.env, context.signal, needs.sourceRoot)
  }

  /** Runs `work` on a stage of its own and takes everything away afterwards, whatever happened. */
  static async with<T>(
    context: ScenarioContext,
    name: string,
    needs: StageNeeds,
    work: (stage: Stage) => Promise<T>,
  ): Promise<T> {
    const stage = await Stage.#open(context, name, needs)
    let result: T
    try {
      result = await work(stage)
    } catch (error) {
      // Servers may be down: then what was made stays, and why the work failed matters more.
      await stage.#close().catch((also: unknown) => context.say(`not all was taken away: ${String(also)}`))
      throw error
    }
    await stage.#close()
    return result
  }

  static async #open(context: ScenarioContext, name: string, needs: StageNeeds): Promise<Stage> {
    const { bed } = context
    const kafka = needs.kafka === 'cluster' ? await bed.cluster() : await bed.kafka()
    const postgres = await bed.postgres()
    const temporal = needs.temporal === true ? await bed.temporal() : null
    context.signal.throwIfAborted()
    const env = {
      KAFKA_BROKERS: kafka.brokers,
      DATABASE_URL: postgres.appUrl,
      DATABASE_ADMIN_URL: postgres.adminUrl,
      TEMPORAL_ADDRESS: temporal?.address ?? '',
      TEMPORAL_UI_URL: '',
    }
    const world = await World.open(name, { env }, { logs: join(bed.logs, name) })
    try {
      const database = await world.createDatabase()
      return new Stage(context, { world, kafka, postgres, temporal, database }, needs)
    } catch (error) {
      await world.close({ keepLogs: true })
      throw error
    }
  }

  /** How far a topic's logs are. */
  watch(topic: string): LogWatch {
    const watch = new LogWatch(this.ownerUrl, topic)
    this.#watches.push(watch)
    return watch
  }

  /** Starts the API, which reaches its servers directly, so that what is done to the passages does not silence it. */
  async startApi(env: Environment = {}): Promise<{ readonly api: Api; readonly role: RoleProcess }> {
    const role = await this.roles.startReady('api', { ...this.directEnv, ...env })
    return { api: createApi(role.url, 'fault campaign'), role }
  }

  /** For a role that must not notice what happens in the passages. */
  get directEnv(): Environment {
    return {
      KAFKA_BROKERS: this.kafka.brokers,
      DATABASE_URL: this.appUrl,
      ...(this.temporal !== null && { TEMPORAL_ADDRESS: this.temporal.address }),
    }
  }

  async #close(): Promise<void> {
    await Promise.all(this.#watches.map((watch) => watch.close()))
    // The bed's folder of logs is kept or taken away as a whole.
    await this.world.close({ keepLogs: true })
  }
}

interface StageParts {
  readonly world: World
  readonly kafka: KafkaBed
  readonly postgres: PostgresBed
  readonly temporal: TemporalBed | null
  readonly database: { readonly name: string; readonly appUrl: string; readonly ownerUrl: string }
}

function environmentOf({ world, kafka, postgres, temporal, database }: StageParts): Environment {
  return {
    KAFKA_BROKERS: kafka.brokersThroughPassages,
    KAFKA_GROUP_ID: world.name,
    KAFKA_CLIENT_ID: world.name,
    KAFKA_SESSION_TIMEOUT_MS: String(sessionTimeoutMs),
    DATABASE_URL: withDatabase(postgres.appUrlThroughPassage, database.name),
    TEMPORAL_TASK_QUEUE: world.name,
    ...(temporal !== null && { TEMPORAL_ADDRESS: temporal.addressThroughPassage }),
  }
}
