import { setTimeout as sleep } from 'node:timers/promises'
import { kafkaCodeName } from '../../src/kafka/faults.ts'
import { api, type Frame, type KafkaFrame, type Passage, type Verdict } from './contract.ts'
import { asksForCommit, errorCodeOf } from './kafkaMessages.ts'
import { until, type Waiting } from './waiting.ts'

/** The requests of a transaction, by name. */
export const lateKinds = {
  Produce: api.produce,
  AddPartitionsToTxn: api.addPartitionsToTxn,
  AddOffsetsToTxn: api.addOffsetsToTxn,
  TxnOffsetCommit: api.txnOffsetCommit,
  EndTxn: api.endTxn,
  InitProducerId: api.initProducerId,
} as const
export type LateKind = keyof typeof lateKinds

/** Kafka answers what came late within this time. */
const answerLimitMs = 3_000

/** What is to be done to the next request of a kind. */
interface Armed {
  readonly kind: LateKind
  readonly verdict: Exclude<Verdict, string>
}

/**
 * Holds requests of transactions back. The client of a late one is cut off and goes on with a new connection while its
 * request is still on its way; that of a held one waits until its own time-out, or until it is let go.
 */
export class LateRequests {
  readonly #passages: readonly Passage[]
  #armed: Armed[] = []
  #taken = 0
  #aborts = 0
  #lastDueMs = 0
  readonly #answers = new Map<string, number>()

  constructor(passages: readonly Passage[]) {
    this.#passages = passages
    for (const passage of passages) passage.tap({ request: (frame) => this.#look(frame) })
  }

  /** The next request of this kind comes so much late. */
  late(kind: LateKind, lateMs: number): void {
    const onAnswer = (answer: Frame): void => this.#answered(kind, answer)
    this.#armed.push({ kind, verdict: { lateMs, onAnswer } })
  }

  /** The next request of this kind waits, and all behind it on its connection. */
  hold(kind: LateKind, hold: Promise<void>): void {
    this.#armed.push({ kind, verdict: { hold } })
  }

  /** Requests that were held back so far. */
  get taken(): number {
    return this.#taken
  }

  /** Requests EndTxn that asked for an abort, late or not. */
  get aborts(): number {
    return this.#aborts
  }

  /** Resolves when everything that was armed has happened. @throws when it has not in time; the rest is disarmed then */
  async untilTaken(waiting: Waiting): Promise<void> {
    try {
      await until(() => (this.#armed.length === 0 ? true : null), waiting)
    } finally {
      this.#armed = []
    }
  }

  /** Resolves when the last late request has been delivered and answered. */
  async untilDelivered(signal: AbortSignal): Promise<void> {
    await sleep(Math.max(0, this.#lastDueMs - performance.now()) + answerLimitMs, undefined, { signal })
  }

  /** What Kafka said to the late ones, for a note. */
  describeAnswers(): string {
    return [...this.#answers]
      .sort(([left], [right]) => left.localeCompare(right))
      .map(([answer, count]) => `${answer} ${count}`)
      .join(', ')
  }

  close(): void {
    for (const passage of this.#passages) passage.tap(null)
  }

  #look(frame: Frame): Verdict {
    if (frame.protocol !== 'kafka') return 'pass'
    if (frame.apiKey === api.endTxn && !asksForCommit(frame)) this.#aborts++
    const at = this.#armed.findIndex(({ kind }) => lateKinds[kind] === frame.apiKey)
    const [armed] = at < 0 ? [] : this.#armed.splice(at, 1)
    if (armed === undefined) return 'pass'
    this.#taken++
    if ('lateMs' in armed.verdict)
      this.#lastDueMs = Math.max(this.#lastDueMs, performance.now() + armed.verdict.lateMs)
    return armed.verdict
  }

  #answered(kind: LateKind, answer: Frame): void {
    const code = answer.protocol === 'kafka' ? errorCodeOf(answer as KafkaFrame) : null
    const text = `${kind} ${code === 0 ? 'done' : kafkaCodeName(code ?? -1)}`
    this.#answers.set(text, (this.#answers.get(text) ?? 0) + 1)
  }
}
