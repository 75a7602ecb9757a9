import { setTimeout as sleep } from 'node:timers/promises'
import { runCommand } from '../../stack/command.ts'
import { AppendSessions } from './appendSessions.ts'
import { api, type Frame, type Passage, type Verdict } from './contract.ts'
import type { IngestStep } from './ingestSteps.ts'
import type { IngestUnderLoad } from './ingestUnderLoad.ts'
import type { Apart } from './ownPassages.ts'
import { sqlStateOf } from './sqlState.ts'
import { until } from './waiting.ts'

/** How a process is kept from going on, and when. */
export interface Freezing {
  readonly name: string
  /** Where its transaction is then; null: anywhere. */
  readonly step: IngestStep | null
  /**
   * `stopped`: by SIGSTOP. `cut off`: it lives and believes that it owns what it owned, but what it says to Kafka waits on
   * the way, and so does the step's frame and all behind it.
   */
  readonly how: 'stopped' | 'cut off'
}

export interface Frozen {
  /** Sessions of the frozen process that somebody ended: the new owner, over a lock. */
  readonly terminated: number
  /** COPYs that PostgreSQL took from it between its thaw and its joining again. */
  readonly copies: number
}

const mostSkipped = 20
const longestSpanMs = 1_500
const longestExtraMs = 3_000
const terminatedByAdministrator = '57P01'

/**
 * One of two processes is frozen until the other one has all partitions and has moved all of them, and some time longer;
 * then it goes on, and joins the group again. Recovery counts from the freeze until all partitions move.
 */
export async function freezeOne(
  ingest: IngestUnderLoad,
  victim: Apart,
  other: Apart,
  freezing: Freezing,
): Promise<Frozen> {
  const { stage, group, clock } = ingest
  const { random, signal } = stage.context
  const sessions = new AppendSessions(stage.ownerUrl)
  const freeze = new Freeze(ingest, victim, freezing)
  await freeze.begin()
  try {
    clock.fault(freezing.name)
    const frozenAt = await sessions.now()
    await group.untilMembers([other.role.label], ingest.waiting('the group to give the frozen process up'))
    await ingest.untilAllMove(`rows of every partition after a process was frozen ${freezing.name}`)
    clock.moved()
    await freeze.check()
    const open = await sessions.openSince(frozenAt)
    if (open > 0) ingest.problem(`${open} appends from before the freeze ${freezing.name} are open still`)
    await sleep(random.below(longestExtraMs), undefined, { signal })
  } finally {
    freeze.end()
  }
  const both = [victim.role.label, other.role.label]
  await group.untilMembers(both, ingest.waiting('the thawed process to join again'))
  await ingest.untilAllMove('rows of every partition after a thaw')
  return freeze.over()
}

class Freeze {
  readonly #ingest: IngestUnderLoad
  readonly #victim: Apart
  readonly #freezing: Freezing
  readonly #kafka: Passage
  readonly #thawed = Promise.withResolvers<void>()
  #isReached = false
  #isThawed = false
  #hasJoined = false
  #left: number
  #terminated = 0
  #copies = 0

  constructor(ingest: IngestUnderLoad, victim: Apart, freezing: Freezing) {
    const [node] = ingest.stage.kafka.nodes
    if (node === undefined) throw new Error('there is no node')
    this.#ingest = ingest
    this.#victim = victim
    this.#freezing = freezing
    this.#kafka = node.passage
    this.#left = ingest.stage.context.random.below(mostSkipped)
  }

  /** Resolves when the process is frozen. */
  async begin(): Promise<void> {
    const { random, signal } = this.#ingest.stage.context
    const { name, step } = this.#freezing
    this.#victim.passage.tap({
      request: (frame) => this.#look('request', frame),
      answer: (frame) => this.#look('answer', frame),
    })
    if (step === null) {
      await sleep(random.below(longestSpanMs), undefined, { signal })
      this.#freeze()
    } else {
      const reached = (): true | null => (this.#isReached ? true : null)
      await until(reached, this.#ingest.waiting(`the step ${name}`, undefined, 5))
    }
  }

  /** That it really is frozen. */
  async check(): Promise<void> {
    if (this.#freezing.how === 'cut off') return
    const { pid, label } = this.#victim.role
    const { ok, output } = await runCommand('ps', ['-o', 'state=', '-p', String(pid)])
    if (!ok || !output.startsWith('T')) this.#ingest.problem(`${label} was not stopped but ${output.trim()}`)
  }

  /** It goes on. */
  end(): void {
    this.#isThawed = true
    this.#kafka.tap({ request: (frame) => this.#join(frame) })
    this.#victim.role.thaw()
    this.#thawed.resolve()
  }

  over(): Frozen {
    this.#kafka.tap(null)
    this.#victim.passage.tap(null)
    return { terminated: this.#terminated, copies: this.#copies }
  }

  #look(side: IngestStep['side'], frame: Frame): Verdict {
    if (sqlStateOf(frame) === terminatedByAdministrator) this.#terminated++
    if (this.#isThawed && !this.#hasJoined && isCopied(side, frame)) this.#copies++
    const { step } = this.#freezing
    if (step === null || this.#isReached || step.side !== side) return 'pass'
    if (!step.matches(frame, this.#victim.role.label) || this.#left-- > 0) return 'pass'
    this.#freeze()
    return { hold: this.#thawed.promise }
  }

  #freeze(): void {
    this.#isReached = true
    if (this.#freezing.how === 'stopped') this.#victim.role.freeze()
    else this.#kafka.tap({ request: (frame) => this.#hold(frame) })
  }

  #hold(frame: Frame): Verdict {
    const isVictims = frame.protocol === 'kafka' && frame.clientId === this.#victim.role.label
    return isVictims ? { hold: this.#thawed.promise } : 'pass'
  }

  #join(frame: Frame): Verdict {
    const { label } = this.#victim.role
    if (frame.protocol === 'kafka' && frame.apiKey === api.joinGroup && frame.clientId === label)
      this.#hasJoined = true
    return 'pass'
  }
}

const isCopied = (side: IngestStep['side'], frame: Frame): boolean =>
  side === 'answer' && frame.protocol === 'postgres' && frame.type === 'C' && frame.text.startsWith('COPY')
