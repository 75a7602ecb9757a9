import type { RoleProcess } from '../../run/roles.ts'
import type { Outcome, Scenario, Verdict } from '../contract.ts'
import { Cycle } from '../cycle.ts'
import { killInRounds } from '../ingestKills.ts'
import { type IngestStep, ingestSteps, seizeStep } from '../ingestSteps.ts'
import { type IngestUnderLoad, underLoad } from '../ingestUnderLoad.ts'
import { Stage } from '../stage.ts'

interface KillStep {
  readonly name: string
  readonly step: IngestStep
  /** What becomes of the frame that tells the step. */
  readonly verdict: Verdict
}

const cutAt = (step: IngestStep): KillStep => ({ name: step.name, step, verdict: 'cut' })

/** In the order in which a batch goes through them. */
const killSteps: readonly [KillStep, ...KillStep[]] = [
  cutAt(ingestSteps.copyBegins),
  cutAt(ingestSteps.copying),
  cutAt(ingestSteps.rowsSent),
  cutAt(ingestSteps.copied),
  cutAt(ingestSteps.committing),
  // The server commits, or is about to, while nobody waits for it any more.
  { name: 'during commit', step: ingestSteps.committing, verdict: 'pass' },
  cutAt(ingestSteps.committed),
  cutAt(ingestSteps.mirroring),
  cutAt(ingestSteps.mirrored),
]

/** Batches that go by before the step is looked for. */
const mostSkipped = 30

export const ingestKillSteps: Scenario = {
  name: 'ingest-kill-steps',
  group: 'ingest',
  title: 'kill -9 of the ingest process at each step of a batch',
  rounds: { full: 3 * killSteps.length, short: 4 },
  run: (context) => Stage.with(context, 'ingest-kill-steps', {}, run),
}

function run(stage: Stage): Promise<Outcome> {
  return underLoad(stage, {}, async (ingest) => {
    const { rounds, random } = stage.context
    const cycle = new Cycle(killSteps, random)
    const hits = new Map(killSteps.map(({ name }) => [name, 0]))
    await killInRounds(ingest, {
      kill: async (role) => {
        const at = cycle.next()
        await kill(ingest, role, at)
        hits.set(at.name, (hits.get(at.name) ?? 0) + 1)
        return at.name
      },
      doubleEvery: 0,
    })
    const missed = [...hits].filter(([, count]) => count === 0).map(([name]) => name)
    if (missed.length > 0 && rounds >= killSteps.length) ingest.problem(`never killed ${missed.join(', ')}`)
    const counts = [...hits].map(([name, count]) => `${name} ${count}`)
    return { faults: ingest.kills, notes: [`kills: ${counts.join(', ')}`, ingest.clock.byKind()] }
  })
}

async function kill(
  ingest: IngestUnderLoad,
  role: RoleProcess,
  { name, step, verdict }: KillStep,
): Promise<void> {
  const { stage } = ingest
  const passage = step.server === 'postgres' ? stage.postgres.passage : stage.kafka.nodes[0]?.passage
  if (passage === undefined) throw new Error('there is no node')
  await seizeStep(passage, step, {
    clientId: role.label,
    skip: stage.context.random.below(step.server === 'postgres' ? mostSkipped : 2),
    act: () => {
      stage.roles.killNow(role)
      return verdict
    },
    waiting: ingest.waiting(`the step ${name}`),
  })
}
