/**
 * Builds that are broken on purpose, run by the same roles, rounds and judges as everything else: a judge that cannot
 * see what is wrong with them proves nothing when it sees nothing wrong.
 */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { withClient } from '../../run/world.ts'
import { brokenFolder, makeBrokenBuild } from '../brokenBuild.ts'
import {
  api,
  type Damage,
  type Frame,
  type KafkaFrame,
  type Outcome,
  type Scenario,
  type ScenarioContext,
} from '../contract.ts'
import { describeDamage, noDamage } from '../damage.ts'
import { killInRounds } from '../ingestKills.ts'
import { IngestUnderLoad } from '../ingestUnderLoad.ts'
import { judgeLog } from '../judgeLog.ts'
import { judgeTargets } from '../judgeTarget.ts'
import { killAtRandom, killAtStep, type Step } from '../kills.ts'
import { ReplayKills, replayKillsEnv } from '../replayKills.ts'
import { makeSourceLog } from '../sourceLog.ts'
import { Stage } from '../stage.ts'

interface Break {
  /** Of the patch in `broken/`. */
  readonly name: string
  readonly title: string
  readonly must: keyof Damage
  /** When to kill so that the damage is done; at a random moment when left out. */
  readonly step?: Step
  /** Statements of the owner that take away what would refuse the damage. */
  readonly weaken?: string
  readonly short: number
}

const copyBegins: Step = {
  name: 'COPY of the rows',
  matches: (frame) => frame.protocol === 'postgres' && /^copy public\.events /.test(frame.text),
}
const commitBegins: Step = {
  name: 'EndTxn',
  matches: (frame, role) => isOf(frame, role.label, api.endTxn),
}
/** Not of the first one, which stands for no records: nothing could be doubled. */
const cursorCommitBegins: Step = {
  name: 'OffsetCommit of the cursor',
  matches: (frame, role) =>
    isOf(frame, role.label, api.offsetCommit) && !frame.bytes.includes('"events":"0"'),
}

const isOf = (frame: Frame, clientId: string, apiKey: number): frame is KafkaFrame =>
  frame.protocol === 'kafka' && frame.apiKey === apiKey && frame.clientId === clientId

const ingestBreaks: readonly Break[] = [
  {
    name: 'ingest-position-before-rows',
    title: 'the log moves on before the rows are there',
    must: 'lost',
    step: copyBegins,
    short: 1,
  },
  {
    name: 'ingest-position-unchecked',
    title: 'batches from before the position are taken too',
    must: 'doubled',
    weaken: 'ingest-position-unchecked.sql',
    short: 0,
  },
  { name: 'ingest-leaves-reversed', title: 'leaf indexes run backwards', must: 'reordered', short: 0 },
  { name: 'ingest-value-changed', title: 'a byte is changed on the way', must: 'altered', short: 0 },
]

const replayBreaks: readonly Break[] = [
  {
    name: 'replay-cursor-before-records',
    title: 'the cursor is committed ahead of the records',
    must: 'lost',
    step: commitBegins,
    short: 0,
  },
  {
    name: 'replay-cursor-after-records',
    title: 'the cursor is committed behind the records',
    must: 'doubled',
    step: cursorCommitBegins,
    short: 0,
  },
  { name: 'replay-page-order', title: 'pages are sent backwards', must: 'reordered', short: 1 },
  { name: 'replay-value-changed', title: 'a byte is changed on the way', must: 'altered', short: 0 },
]

export const checkerScenarios: readonly Scenario[] = [
  ...ingestBreaks.map((broken) => scenarioOf(broken, checkIngest)),
  ...replayBreaks.map((broken) => scenarioOf(broken, checkReplay)),
]

function scenarioOf(broken: Break, check: (stage: Stage, broken: Break) => Promise<Found>): Scenario {
  return {
    name: `checker-${broken.name}`,
    group: 'checker',
    title: `must be caught as ${broken.must}: ${broken.title}`,
    rounds: { full: 1, short: broken.short },
    async run(context) {
      const sourceRoot = await makeBrokenBuild(join(dirname(context.bed.logs), 'broken'), broken.name)
      const needs = { sourceRoot, temporal: check === checkReplay, env: replayKillsEnv }
      const found = await Stage.with(context, `checker-${broken.name}`, needs, (stage) =>
        check(stage, broken),
      )
      return outcomeOf(context, broken, found)
    },
  }
}

interface Found {
  readonly damage: Damage
  readonly events: number
  readonly faults: number
  /** What broke the run off, when something did. */
  readonly ended: string | null
}

/**
 * The damage is the broken build's, not the platform's: what counts here is that it was seen. A build that breaks off has
 * not done what it was broken for, and what is missing then says nothing.
 */
function outcomeOf({ rounds }: ScenarioContext, { must }: Break, found: Found): Outcome {
  const seen = describeDamage(found.damage)
  const problems: string[] = []
  if (found.ended !== null) problems.push(`the broken build did not come to its end: ${found.ended}`)
  if (found.damage[must] === 0)
    problems.push(`the broken build was not caught: expected ${must}, found ${seen}`)
  return {
    rounds,
    faults: found.faults,
    events: found.events,
    damage: noDamage,
    longestRecoveryMs: null,
    problems,
    notes: problems.length > 0 ? [] : [`caught: ${seen}`],
  }
}

const patienceMs = 45_000

async function checkIngest(stage: Stage, { step, weaken }: Break): Promise<Found> {
  const { context, roles, postgres, ownerUrl } = stage
  if (weaken !== undefined) {
    const statements = readFileSync(join(brokenFolder, weaken), 'utf8')
    await withClient(ownerUrl, (client) => client.query(statements))
  }
  const at = { passages: [postgres.passage], roles, skip: () => 20, limitMs: patienceMs }
  const [moment, kill] =
    step === undefined
      ? ['at a random moment', killAtRandom(context, roles, [60, 400, 1_500])]
      : [step.name, killAtStep(step, at)]
  const ingest = await IngestUnderLoad.open(stage, { mixed: false, patienceMs })
  let ended: string | null = null
  try {
    ended = await endOf(context, async () => {
      await killInRounds(ingest, { kill: (role) => kill(role).then(() => moment), doubleEvery: 0 })
      await ingest.settle()
    })
  } finally {
    await ingest.close()
  }
  await roles.stopAll()
  const score = ingest.score()
  const { damage } = await judgeLog(ownerUrl, score, {}, context.signal)
  return { damage, events: score.produced, faults: ingest.kills, ended }
}

async function checkReplay(stage: Stage, { step }: Break): Promise<Found> {
  const { context, roles, kafka } = stage
  const log = await makeSourceLog(stage, { partitions: 4, records: 20_000 })
  const passages = kafka.nodes.map(({ passage }) => passage)
  const at = { passages, roles, skip: () => 0, limitMs: patienceMs }
  const kills = new ReplayKills(stage, log, {
    ...(step !== undefined && { kill: killAtStep(step, at) }),
    workers: 1,
    patienceMs,
  })
  const ended = await endOf(context, () => kills.run(context))
  await roles.stopAll()
  const judgement = await judgeTargets(context.reader, kafka.brokers, log.score, kills.begun, context.signal)
  return { damage: judgement.damage, events: judgement.records, faults: kills.kills, ended }
}

/** Null when it came to its end. Only the campaign itself may break it off. */
async function endOf({ signal }: ScenarioContext, work: () => Promise<void>): Promise<string | null> {
  try {
    await work()
    return null
  } catch (error) {
    if (signal.aborted) throw error
    return error instanceof Error ? (error.message.split('\n', 1)[0] ?? '') : String(error)
  }
}
