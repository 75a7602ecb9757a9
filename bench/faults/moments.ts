import { api, type Frame, type KafkaFrame, type Passage, type Verdict } from './contract.ts'
import { asksForCommit, errorCodeOf } from './kafkaMessages.ts'
import { until, type Waiting } from './waiting.ts'

/** A moment in the transaction of a replay, told by what crosses the passages to Kafka. */
export interface Moment {
  readonly name: string
  readonly side: 'request' | 'answer'
  readonly apiKey: number
  /** Which of these requests; all when left out. */
  readonly matches?: (request: KafkaFrame) => boolean
}

/** In the order in which a transaction goes through them. Answers that report an error are none of these. */
export const moments = {
  begun: { name: 'after begin', side: 'answer', apiKey: api.initProducerId },
  joined: { name: 'after joining', side: 'answer', apiKey: api.addPartitionsToTxn },
  sent: { name: 'after send', side: 'answer', apiKey: api.produce },
  cursorSent: { name: 'after sendOffsets', side: 'answer', apiKey: api.txnOffsetCommit },
  committing: { name: 'during commit', side: 'request', apiKey: api.endTxn, matches: asksForCommit },
  committed: { name: 'after commit', side: 'answer', apiKey: api.endTxn },
} as const satisfies Record<string, Moment>

export interface Seizing {
  /** Whose requests and answers count, by client id; everybody's when left out. */
  readonly of?: (clientId: string) => boolean
  /** Such moments that are let go by first. */
  readonly skip: number
  /** What is done, once, while the frame waits. Synchronous: a process that is stopped in here sees nothing more. */
  act(frame: KafkaFrame): Verdict
  readonly waiting: Waiting
}

/** Resolves with what `act` was called with. @throws when the moment does not come in time */
export async function seize(
  passages: readonly Passage[],
  { side, apiKey, matches = () => true }: Moment,
  { of = () => true, skip, act, waiting }: Seizing,
): Promise<KafkaFrame> {
  let left = skip
  let seized: KafkaFrame | null = null
  const look = (frame: Frame): Verdict => {
    if (seized !== null || frame.protocol !== 'kafka' || frame.apiKey !== apiKey) return 'pass'
    if (!of(frame.clientId)) return 'pass'
    if (side === 'answer' ? errorCodeOf(frame) !== 0 : !matches(frame)) return 'pass'
    if (left-- > 0) return 'pass'
    seized = frame
    return act(frame)
  }
  for (const passage of passages) passage.tap({ [side]: look })
  try {
    return await until(() => seized, { everyMs: 5, ...waiting })
  } finally {
    for (const passage of passages) passage.tap(null)
  }
}
