import type { Bed, KafkaBed, Passage, PostgresBed, ServerProcess, TemporalBed } from './contract.ts'

/** A bed that remembers what was asked of it, so that the damage of one scenario does not become the next one's. */
export class MendedBed implements Bed {
  readonly #bed: Bed
  readonly #kafkas = new Set<KafkaBed>()
  readonly #others = new Set<ServerProcess & { readonly passage: Passage }>()

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
    const postgres = await this.#bed.postgres()
    this.#others.add(postgres)
    return postgres
  }

  async temporal(): Promise<TemporalBed> {
    const temporal = await this.#bed.temporal()
    this.#others.add(temporal)
    return temporal
  }

  close(): Promise<void> {
    return this.#bed.close()
  }

  /** Every server that was used serves again: passages without faults, processes running and not frozen. */
  async mend(): Promise<void> {
    const servers = [...[...this.#kafkas].flatMap(({ nodes }) => nodes), ...this.#others]
    for (const { passage } of servers) passage.reset()
    for (const server of servers) if (server.isRunning) server.thaw()
    // A node of a cluster serves when enough of the others do, so they start together.
    await Promise.all(servers.map((server) => server.start()))
  }
}
