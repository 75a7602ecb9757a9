import { setTimeout as sleep } from 'node:timers/promises'
import type { Passage, ScenarioContext } from './contract.ts'

/** What a network does to the connections through a passage for a while. Resolves when it is over. */
export interface NetworkFault {
  readonly name: string
  /** Returns how many connections felt it. */
  inflict(passage: Passage, context: ScenarioContext): Promise<number>
}

/** Evenly between the two. */
const between = ({ random }: ScenarioContext, least: number, most: number): number =>
  least + random.below(most - least)

async function slowly(
  passage: Passage,
  context: ScenarioContext,
  slow: (passage: Passage) => void,
): Promise<number> {
  const before = passage.forwarded
  slow(passage)
  await sleep(between(context, 2_000, 6_000), undefined, { signal: context.signal })
  const felt = passage.forwarded > before ? passage.connections : 0
  passage.reset()
  return felt
}

const latency: NetworkFault = {
  name: 'latency',
  inflict: (passage, context) =>
    slowly(passage, context, () => passage.delay(between(context, 20, 400), between(context, 0, 200))),
}

const bandwidth: NetworkFault = {
  name: 'bandwidth',
  inflict: (passage, context) =>
    slowly(passage, context, () => passage.throttle(between(context, 20_000, 200_000))),
}

const resets: NetworkFault = {
  name: 'resets',
  async inflict(passage, context) {
    let felt = 0
    for (let left = between(context, 3, 9); left > 0; left--) {
      felt += passage.connections
      passage.cut()
      await sleep(between(context, 0, 700), undefined, { signal: context.signal })
    }
    return felt
  },
}

const away: NetworkFault = {
  name: 'away',
  async inflict(passage, context) {
    const felt = passage.connections
    passage.shut()
    await sleep(between(context, 500, 5_000), undefined, { signal: context.signal })
    passage.open()
    return felt
  },
}

const halfOpen: NetworkFault = {
  name: 'half-open',
  async inflict(passage, context) {
    const felt = passage.connections
    passage.deafen()
    await sleep(between(context, 1_000, 8_000), undefined, { signal: context.signal })
    passage.reset()
    return felt
  },
}

/** Those after which every connection that still leads nowhere has been cut. */
export const passingFaults = [latency, bandwidth, resets, away, halfOpen] as const

/** The connections of now are dead for good, and nobody says so: only time-outs tell. */
export const forgotten: NetworkFault = {
  name: 'forgotten connections',
  inflict: (passage) => {
    const felt = passage.connections
    passage.silence()
    return Promise.resolve(felt)
  },
}
