import type { Bed, KafkaBed, Passage, PostgresBed, ServerProcess, TemporalBed } from './contract.ts'
import type { VersionSources } from './versions.ts'

/** A bed that remembers what was asked of it, so that the damage of one scenario does not become the next one's. */
export class MendedBed implements Bed {
  readonly #bed: Bed
  readonly #kafkas = new Set<KafkaBed>()
  #postgres: PostgresBed | null = null
  #temporal: TemporalBed | null = null

  constructor(bed: Bed) {
    this.#bed = bed
  }

  get logs(): string {
    return this.#bed.logs
  }

  async kafka(): Promise<KafkaBed> {
    const kafka = await this.#bed.kafka()
    this.#kafkas.add(kafka)
    return kafka
  }

  async cluster(): Promise<KafkaBed> {
    const kafka = await this.#bed.cluster()
    this.#kafkas.add(kafka)
    return kafka
  }

  async postgres(): Promise<PostgresBed> {
    this.#postgres = await this.#bed.postgres()
    return this.#postgres
  }

  async temporal(): Promise<TemporalBed> {
    this.#temporal = await this.#bed.temporal()
    return this.#temporal
  }

  close(): Promise<void> {
    return this.#bed.close()
  }

  /** Every server that was used serves again: passages without faults, processes running and not frozen. */
  async mend(): Promise<void> {
    const servers: (ServerProcess & { readonly passage: Passage })[] = [...this.#kafkas].flatMap(
      ({ nodes }) => nodes,
    )
    if (this.#postgres !== null) servers.push(this.#postgres)
    if (this.#temporal !== null) servers.push(this.#temporal)
    for (const { passage } of servers) passage.reset()
    for (const server of servers) if (server.isRunning) server.thaw()
    // A node of a cluster serves when enough of the others do, so they start together.
    await Promise.all(servers.map((server) => server.start()))
  }

  /** Of whom to ask for versions: the servers that were used. */
  versionSources(): VersionSources {
    const [kafka] = this.#kafkas
    return {
      classpath: kafka?.classpath ?? null,
      adminUrl: this.#postgres?.adminUrl ?? null,
      temporalAddress: this.#temporal?.address ?? null,
    }
  }
}
