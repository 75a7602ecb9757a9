import { resolve } from 'node:path'
import type { Bed, KafkaBed, PostgresBed, TemporalBed } from '../contract.ts'
import { openKafka } from './kafkaNodes.ts'
import { openPostgres } from './postgresServer.ts'
import { BedRecord, logsIn } from './record.ts'
import type { BedSite } from './site.ts'
import { openTemporal } from './temporalServer.ts'

export interface BedOptions {
  /** For one bed at a time; what a former one has left in it goes. The data of its servers go when it closes. */
  readonly directory: string
  readonly say: (text: string) => void
  /** Ends every wait for a server; closing is up to the caller. */
  readonly signal: AbortSignal
}

/**
 * A bed without servers yet. What a killed predecessor has left running in the directory is ended.
 * @throws when another process uses the directory
 */
export async function openBed({ directory, say, signal }: BedOptions): Promise<Bed> {
  const path = resolve(directory)
  const record = await BedRecord.take(path)
  const onStarted: BedSite['onStarted'] = (id, lastSignal) => record.add(id, lastSignal)
  return new ServersBed({ directory: path, logs: logsIn(path), say, signal, onStarted }, record)
}

interface Discardable {
  discard(): Promise<void>
}

class ServersBed implements Bed {
  readonly #site: BedSite
  readonly #record: BedRecord
  readonly #opened = new Map<string, Promise<Discardable>>()
  #isClosed = false

  constructor(site: BedSite, record: BedRecord) {
    this.#site = site
    this.#record = record
  }

  get logs(): string {
    return this.#site.logs
  }

  kafka(): Promise<KafkaBed> {
    return this.#open('kafka', () => openKafka(this.#site, 'kafka', 1))
  }

  cluster(): Promise<KafkaBed> {
    return this.#open('cluster', () => openKafka(this.#site, 'cluster', 3))
  }

  postgres(): Promise<PostgresBed> {
    return this.#open('postgres', () => openPostgres(this.#site))
  }

  temporal(): Promise<TemporalBed> {
    return this.#open('temporal', () => openTemporal(this.#site))
  }

  async close(): Promise<void> {
    this.#isClosed = true
    // A start that failed has left nothing behind.
    const opened = await Promise.allSettled(this.#opened.values())
    const servers = opened.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
    await Promise.all(servers.map((server) => server.discard()))
    this.#record.release()
  }

  /** Started on first use; a start that failed can be tried again. */
  async #open<T extends Discardable>(name: string, open: () => Promise<T>): Promise<T> {
    if (this.#isClosed) throw new Error('the bed is closed')
    const opened = (this.#opened.get(name) as Promise<T> | undefined) ?? open()
    this.#opened.set(name, opened)
    try {
      return await opened
    } catch (error) {
      if (this.#opened.get(name) === opened) this.#opened.delete(name)
      throw error
    }
  }
}
