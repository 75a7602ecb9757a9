import type { Passage } from './contract.ts'
import { errorCodeOf, isFencing } from './kafkaMessages.ts'
import { until, type Waiting } from './waiting.ts'

/** Listens to what Kafka answers to a worker, above all that another producer has taken its transactional id. */
export class Fencings {
  readonly #passages: readonly Passage[]
  #answers = 0
  #count = 0

  /** From now on. `clientId`: the worker's. */
  constructor(passages: readonly Passage[], clientId: string) {
    this.#passages = passages
    for (const passage of passages) {
      passage.tap({
        answer: (frame) => {
          if (frame.protocol !== 'kafka' || frame.clientId !== clientId) return 'pass'
          this.#answers++
          if (isFencing(errorCodeOf(frame))) this.#count++
          return 'pass'
        },
      })
    }
  }

  /** Requests that were refused because it is fenced. */
  get count(): number {
    return this.#count
  }

  /** @throws when it asks for nothing in time */
  async untilAnswered(waiting: Waiting): Promise<void> {
    await until(() => (this.#answers > 0 ? true : null), waiting)
  }

  close(): void {
    for (const passage of this.#passages) passage.tap(null)
  }
}
