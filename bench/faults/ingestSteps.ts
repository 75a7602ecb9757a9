import { api, type Frame, type Passage, type Verdict } from './contract.ts'
import { until, type Waiting } from './waiting.ts'

/** A moment in the life of a batch, told by what crosses the passages. */
export interface IngestStep {
  readonly name: string
  readonly server: 'postgres' | 'kafka'
  /** Towards the server, or from it. */
  readonly side: 'request' | 'answer'
  /** `clientId`: of the process at Kafka. PostgreSQL's frames don't say whose they are. */
  matches(frame: Frame, clientId: string): boolean
}

const query =
  (pattern: RegExp) =>
  (frame: Frame): boolean =>
    frame.protocol === 'postgres' && frame.type === 'Q' && pattern.test(frame.text)
const completed =
  (pattern: RegExp) =>
  (frame: Frame): boolean =>
    frame.protocol === 'postgres' && frame.type === 'C' && pattern.test(frame.text)
const message =
  (type: string) =>
  (frame: Frame): boolean =>
    frame.protocol === 'postgres' && frame.type === type
const offsetCommit = (frame: Frame, clientId: string): boolean =>
  frame.protocol === 'kafka' && frame.apiKey === api.offsetCommit && frame.clientId === clientId

/** In the order in which a batch goes through them. */
export const ingestSteps = {
  copyBegins: {
    name: 'before COPY',
    server: 'postgres',
    side: 'request',
    matches: query(/^copy public\.events /i),
  },
  copying: { name: 'inside COPY', server: 'postgres', side: 'answer', matches: message('G') },
  rowsSent: { name: 'all rows sent', server: 'postgres', side: 'request', matches: message('c') },
  copied: { name: 'after COPY', server: 'postgres', side: 'answer', matches: completed(/^COPY \d/) },
  committing: { name: 'before commit', server: 'postgres', side: 'request', matches: query(/^commit/i) },
  committed: { name: 'after commit', server: 'postgres', side: 'answer', matches: completed(/^COMMIT$/) },
  mirroring: { name: 'before the Kafka commit', server: 'kafka', side: 'request', matches: offsetCommit },
  mirrored: { name: 'after the Kafka commit', server: 'kafka', side: 'answer', matches: offsetCommit },
} as const satisfies Record<string, IngestStep>

export interface StepSeizing {
  readonly clientId: string
  /** Such moments that are let go by first. */
  readonly skip: number
  /** What is done, once, while the frame waits. Synchronous: a process that is stopped in here sees nothing more. */
  act(): Verdict
  readonly waiting: Waiting
}

/** Resolves when the moment has come and `act` was called. @throws when it does not come in time */
export async function seizeStep(
  passage: Passage,
  step: IngestStep,
  { clientId, skip, act, waiting }: StepSeizing,
): Promise<void> {
  let left = skip
  let reached = false
  const look = (frame: Frame): Verdict => {
    if (reached || !step.matches(frame, clientId) || left-- > 0) return 'pass'
    reached = true
    return act()
  }
  passage.tap({ [step.side]: look })
  try {
    await until(() => (reached ? true : null), { everyMs: 5, ...waiting })
  } finally {
    passage.tap(null)
  }
}
