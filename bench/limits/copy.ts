import { once } from 'node:events'
import { closeSync, createReadStream, openSync, writeSync } from 'node:fs'
import type { Connection, Submittable } from 'pg'
import { withClient } from '../run/world.ts'

const chunkBytes = 1 << 20
const copyDone = Buffer.from([0x63, 0, 0, 0, 4])

/** What pg asks of a query object; both directions of COPY are one of these. */
abstract class CopyQuery implements Submittable {
  readonly finished: Promise<void>
  // pg asks every query for it, and calls nothing on it when `finished` is what tells.
  readonly callback = (): void => undefined
  readonly #text: string
  readonly #outcome = Promise.withResolvers<void>()
  failed = false

  constructor(text: string) {
    this.#text = text
    this.finished = this.#outcome.promise
  }

  submit(connection: Connection): void {
    connection.query(this.#text)
  }

  handleError(error: Error): void {
    this.failed = true
    this.#outcome.reject(error)
  }

  handleReadyForQuery(): void {
    if (!this.failed) this.#outcome.resolve()
  }

  handleCommandComplete(): void {
    // What counts is ReadyForQuery behind it.
  }
}

class CopyToFile extends CopyQuery {
  readonly #file: number

  constructor(text: string, file: number) {
    super(text)
    this.#file = file
  }

  handleCopyData({ chunk }: { chunk: Buffer }): void {
    writeSync(this.#file, chunk)
  }
}

class CopyFromFile extends CopyQuery {
  readonly #path: string

  constructor(text: string, path: string) {
    super(text)
    this.#path = path
  }

  handleCopyInResponse(connection: Connection): void {
    this.#send(connection).catch((error: Error) => this.handleError(error))
  }

  async #send({ stream }: Connection): Promise<void> {
    for await (const chunk of createReadStream(this.#path, { highWaterMark: chunkBytes })) {
      if (this.failed) return
      const head = Buffer.alloc(5)
      head[0] = 0x64
      head.writeInt32BE(chunk.length + 4, 1)
      stream.write(head)
      const wantsMore = stream.write(chunk)
      // A destroyed socket never drains; pg then fails this query through handleError.
      if (!wantsMore && stream.writableNeedDrain) await Promise.race([once(stream, 'drain'), this.finished])
    }
    stream.write(copyDone)
  }
}

/** Writes the events of some logs to a file, as text COPY gives them. Returns the days on which they were ingested. */
export async function copyOut(url: string, partitions: readonly number[], path: string): Promise<void> {
  const list = partitions.map(Number).join(', ')
  const file = openSync(path, 'w')
  try {
    await withClient(
      url,
      (client) =>
        client.query(
          new CopyToFile(
            `copy (select e.* from events e join partition_logs l on l.id = e.log_id
                  where l.partition in (${list}) order by e.log_id, e."offset") to stdout`,
            file,
          ),
        ).finished,
    )
  } finally {
    closeSync(file)
  }
}

/** Loads each file on a connection of its own, all at once; returns the seconds from first byte to last commit. */
export async function copyIn(url: string, paths: readonly string[]): Promise<number> {
  await withClient(url, (client) =>
    client.query(`select create_events_partition((clock_timestamp() at time zone 'UTC')::date + day)
                    from generate_series(-1, 1) as day`),
  )
  const connections = paths.map((path) => {
    const { promise: go, resolve: start } = Promise.withResolvers<void>()
    const { promise: connected, resolve: ready } = Promise.withResolvers<void>()
    const done = withClient(url, async (client) => {
      ready()
      await go
      await client.query(new CopyFromFile('copy events from stdin', path)).finished
    })
    return { start, connected: Promise.race([connected, done]), done }
  })
  await Promise.all(connections.map(({ connected }) => connected))
  const started = performance.now()
  for (const { start } of connections) start()
  await Promise.all(connections.map(({ done }) => done))
  return (performance.now() - started) / 1000
}
