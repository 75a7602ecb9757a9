import type { Outcome, Scenario } from '../contract.ts'
import { Cycle } from '../cycle.ts'
import { type Freezing, freezeOne } from '../frozenIngest.ts'
import { type IngestStep, ingestSteps } from '../ingestSteps.ts'
import { underLoad } from '../ingestUnderLoad.ts'
import { OwnPassages } from '../ownPassages.ts'
import { Stage } from '../stage.ts'

const stoppedAt = (step: IngestStep): Freezing => ({ name: step.name, step, how: 'stopped' })

const anywhere: readonly [Freezing, ...Freezing[]] = [
  { name: 'at a random moment', step: null, how: 'stopped' },
  stoppedAt(ingestSteps.copyBegins),
  stoppedAt(ingestSteps.copied),
  stoppedAt(ingestSteps.committing),
  stoppedAt(ingestSteps.committed),
]

const insideCopy: readonly [Freezing, ...Freezing[]] = [
  stoppedAt(ingestSteps.copying),
  stoppedAt(ingestSteps.rowsSent),
  { name: 'cut off inside COPY', step: ingestSteps.copying, how: 'cut off' },
]

export const ingestZombie: Scenario = {
  name: 'ingest-zombie',
  group: 'ingest',
  title: 'one of two ingest processes stopped past its session time-out and continued',
  rounds: { full: 10, short: 0 },
  run: (context) =>
    Stage.with(context, 'ingest-zombie', {}, (stage) => run(stage, { freezings: anywhere, blocks: false })),
}

export const ingestFrozenWriter: Scenario = {
  name: 'ingest-frozen-writer',
  group: 'ingest',
  title: 'a writer frozen inside COPY, whose lock the new owner waits for, and thawed',
  rounds: { full: 6, short: 0 },
  run: (context) =>
    Stage.with(context, 'ingest-frozen-writer', {}, (stage) =>
      run(stage, { freezings: insideCopy, blocks: true }),
    ),
}

interface Freezings {
  readonly freezings: readonly [Freezing, ...Freezing[]]
  /** The frozen process holds a lock each time, so the new owner must end its session. */
  readonly blocks: boolean
}

function run(stage: Stage, { freezings, blocks }: Freezings): Promise<Outcome> {
  const { rounds, random, say } = stage.context
  return underLoad(stage, {}, (ingest) =>
    OwnPassages.with(ingest, async (passages) => {
      const cycle = new Cycle(freezings, random)
      let [victim, other] = [await passages.start(), await passages.start()]
      const both = [victim.role.label, other.role.label]
      await ingest.begin(0)
      await ingest.group.untilMembers(both, ingest.waiting('both processes to join'))
      let [terminated, copies] = [0, 0]
      for (let round = 1; round <= rounds; round++) {
        if (random.below(2) === 0) [victim, other] = [other, victim]
        const freezing = cycle.next()
        const frozen = await freezeOne(ingest, victim, other, freezing)
        if (blocks && frozen.terminated === 0)
          ingest.problem(`round ${round}: nobody ended the session that was frozen ${freezing.name}`)
        terminated += frozen.terminated
        copies += frozen.copies
        say(`round ${round} of ${rounds}: frozen ${freezing.name}`)
      }
      const notes = [
        `${terminated} sessions of frozen processes were ended by the new owners`,
        `thawed processes appended ${copies} times, where their logs went on, before they joined again`,
        ingest.clock.byKind(),
      ]
      return { faults: rounds, notes }
    }),
  )
}
