import { setTimeout as sleep } from 'node:timers/promises'
import type { Passage, Scenario } from '../contract.ts'
import { type IngestFault, inflictAll } from '../ingestFaults.ts'
import type { IngestUnderLoad } from '../ingestUnderLoad.ts'
import { forgotten, type NetworkFault, passingFaults } from '../networkFaults.ts'
import { Stage } from '../stage.ts'

/** One round in so many also has a SIGTERM for a process that suffers the fault. */
const stopEvery = 3

export const ingestNetwork: Scenario = {
  name: 'ingest-network',
  group: 'ingest',
  title: 'PostgreSQL, Kafka or both behind a network that is slow, narrow, resets, is away or half-open',
  rounds: { full: 15, short: 0 },
  run: (context) =>
    Stage.with(context, 'ingest-network', {}, (stage) => {
      const [first, ...rest] = passingFaults
      return inflictAll(stage, {
        processes: 2,
        calmMs: 1_500,
        faults: [onSomePassages(stage, first), ...rest.map((fault) => onSomePassages(stage, fault))],
      })
    }),
}

/** Time-outs are longer than any bar: what is forgotten is found out after a minute or so. */
const longestTimeoutMs = 65_000

export const ingestForgottenConnections: Scenario = {
  name: 'ingest-forgotten-connections',
  group: 'ingest',
  title: 'every connection to PostgreSQL or Kafka is dead for good, and nobody says so',
  rounds: { full: 2, short: 0 },
  recoveryBarMs: null,
  run: (context) =>
    Stage.with(context, 'ingest-forgotten-connections', {}, (stage) =>
      inflictAll(stage, {
        processes: 2,
        calmMs: 1_500,
        patienceMs: 2 * longestTimeoutMs,
        faults: [
          on('PostgreSQL forgets', stage.postgres.passage),
          ...stage.kafka.nodes.map(({ passage }) => on('Kafka forgets', passage)),
        ],
      }),
    ),
}

const on = (name: string, passage: Passage): IngestFault => ({
  name,
  inflict: ({ stage }) => forgotten.inflict(passage, stage.context),
})

/** The fault on one of the two, or on both, where the other one suffers any. */
const onSomePassages = ({ postgres, kafka, context }: Stage, fault: NetworkFault): IngestFault => ({
  name: fault.name,
  async inflict(ingest) {
    const { random } = context
    const passages = [postgres.passage, ...kafka.nodes.map(({ passage }) => passage)]
    const [chosen] = passages.splice(random.below(passages.length), 1)
    if (chosen === undefined) throw new Error('there is no passage')
    const under = [fault.inflict(chosen, context)]
    if (random.below(3) === 0)
      under.push(...passages.map((other) => random.pick(passingFaults).inflict(other, context)))
    if (random.below(stopEvery) === 0) under.push(stopOne(ingest))
    const felt = await Promise.all(under)
    return felt[0] ?? 0
  },
})

/** While it suffers. */
async function stopOne(ingest: IngestUnderLoad): Promise<number> {
  const [role] = ingest.processes
  if (role === undefined) throw new Error('there is no process')
  const { random, signal } = ingest.stage.context
  await sleep(200 + random.below(800), undefined, { signal })
  await ingest.stopInTime(role)
  await ingest.start()
  return 1
}
