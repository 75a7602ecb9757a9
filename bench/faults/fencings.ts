import type { Passage } from './contract.ts'
import { errorCodeOf, isFencing } from './kafkaMessages.ts'
import { until, type Waiting } from './waiting.ts'

/** Counts the requests that Kafka refuses because another producer has taken the transactional id. */
export class Fencings {
  readonly #passages: readonly Passage[]
  #count = 0

  /** `clientId`: whose; everybody's when left out. */
  constructor(passages: readonly Passage[], clientId?: string) {
    this.#passages = passages
    for (const passage of passages) {
      passage.tap({
        answer: (frame) => {
          if (frame.protocol !== 'kafka') return 'pass'
          if (clientId !== undefined && frame.clientId !== clientId) return 'pass'
          if (isFencing(errorCodeOf(frame))) this.#count++
          return 'pass'
        },
      })
    }
  }

  get count(): number {
    return this.#count
  }

  /** @throws when there is none in time */
  async untilFirst(waiting: Waiting): Promise<void> {
    await until(() => (this.#count > 0 ? true : null), waiting)
  }

  close(): void {
    for (const passage of this.#passages) passage.tap(null)
  }
}
