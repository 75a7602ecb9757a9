import type { RoleProcess } from '../run/roles.ts'
import type { Passage } from './contract.ts'
import type { IngestUnderLoad } from './ingestUnderLoad.ts'
import { openPassage } from './passage/passage.ts'
import type { Environment } from './roles.ts'

/** An ingest process, and the passage to PostgreSQL that it has for itself: what crosses it is this process's. */
export interface Apart {
  readonly role: RoleProcess
  readonly passage: Passage
}

/** Starts processes apart from each other, and closes their passages when all of it is over. */
export class OwnPassages {
  readonly #ingest: IngestUnderLoad
  readonly #open: Passage[] = []

  private constructor(ingest: IngestUnderLoad) {
    this.#ingest = ingest
  }

  /** SIGTERM for all processes when `work` is done: without their passages they could not go on. */
  static async with<T>(ingest: IngestUnderLoad, work: (passages: OwnPassages) => Promise<T>): Promise<T> {
    const passages = new OwnPassages(ingest)
    try {
      const result = await work(passages)
      await ingest.stopAll()
      return result
    } finally {
      await Promise.all(passages.#open.map((passage) => passage.close()))
    }
  }

  async start(env: Environment = {}): Promise<Apart> {
    const { postgres, env: own } = this.#ingest.stage
    const passage = await openPassage({ target: new URL(postgres.adminUrl).host, protocol: 'postgres' })
    this.#open.push(passage)
    const url = new URL(own['DATABASE_URL'] ?? '')
    url.port = String(passage.port)
    return { role: await this.#ingest.start({ ...env, DATABASE_URL: url.href }), passage }
  }
}
