import { api, type KafkaFrame, type Passage } from './contract.ts'

/** Requests whose body begins with the transactional id, in the versions that are not flexible. */
const opening: ReadonlySet<number> = new Set([
  api.produce,
  api.addPartitionsToTxn,
  api.addOffsetsToTxn,
  api.txnOffsetCommit,
])
const ending: ReadonlySet<number> = new Set([api.endTxn, api.initProducerId])

/** Length, api key, version, correlation id. */
const clientIdAt = 4 + 2 + 2 + 4

/** Which transactions a process has begun and not ended, by what it sends. */
export class OpenTransactions {
  readonly #passages: readonly Passage[]
  readonly #open = new Set<string>()
  #ended = 0

  /** From now on: what is open already is seen with its next request. `clientId`: the process's. */
  constructor(passages: readonly Passage[], clientId: string) {
    this.#passages = passages
    for (const passage of passages) {
      passage.tap({
        request: (frame) => {
          if (frame.protocol === 'kafka' && frame.clientId === clientId) this.#see(frame)
          return 'pass'
        },
      })
    }
  }

  /** Transactional ids. */
  get open(): readonly string[] {
    return [...this.#open]
  }

  /** Transactions that were ended so far. */
  get ended(): number {
    return this.#ended
  }

  close(): void {
    for (const passage of this.#passages) passage.tap(null)
  }

  #see(frame: KafkaFrame): void {
    const isOpening = opening.has(frame.apiKey)
    if (!isOpening && !ending.has(frame.apiKey)) return
    const id = transactionalIdOf(frame)
    if (id === null) return
    if (isOpening) this.#open.add(id)
    else if (this.#open.delete(id)) this.#ended++
  }
}

/** Null where there is none. */
function transactionalIdOf({ bytes }: KafkaFrame): string | null {
  const at = clientIdAt + 2 + Math.max(0, bytes.readInt16BE(clientIdAt))
  const length = bytes.readInt16BE(at)
  return length < 0 ? null : bytes.toString('utf8', at + 2, at + 2 + length)
}
