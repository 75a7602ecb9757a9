import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Client, WorkflowFailedError } from '@temporalio/client'
import type { ReplayRequest } from '../../../src/domain/replay.ts'
import { runCommand } from '../../../stack/command.ts'
import { knownTemporal } from '../../../stack/temporal-cli.ts'
import { ApiError } from '../../run/api.ts'
import type { Outcome, Scenario } from '../contract.ts'
import { judgeReplays } from '../judgeReplays.ts'
import { ReplayRuns, replayRunsEnv } from '../replayRuns.ts'
import { makeSourceLog } from '../sourceLog.ts'
import { Stage } from '../stage.ts'
import { withTemporal } from '../temporalClient.ts'

const patienceMs = 120_000
/** So many that a replay is not over before it is terminated. */
const records = 60_000
const startsAtOnce = 4

export const replaySameId: Scenario = {
  name: 'replay-same-id',
  group: 'replay',
  title:
    'one replay id started many times at once, used again with another request, terminated and started again',
  rounds: { full: 4, short: 0 },
  run: (context) =>
    Stage.with(
      context,
      'replay-same-id',
      { temporal: true, env: { ...replayRunsEnv, REPLAY_SLICE_MS: '2000' } },
      run,
    ),
}

async function run(stage: Stage): Promise<Outcome> {
  const { context, roles, temporal } = stage
  const { rounds, say } = context
  const log = await makeSourceLog(stage, { partitions: 4, records })
  const runs = new ReplayRuns(stage, log, { workers: 2, patienceMs })
  await runs.open()
  const problems: string[] = []
  await withTemporal(temporal?.address ?? '', async (client) => {
    for (let round = 1; round <= rounds; round++) {
      problems.push(...(await oneId(runs, client)))
      say(`round ${round} of ${rounds}`)
    }
  })
  await roles.stopAll()
  const judgement = await judgeReplays(stage, log, runs.ended)
  return {
    rounds,
    faults: rounds * (startsAtOnce + 4),
    events: judgement.events,
    damage: judgement.damage,
    longestRecoveryMs: runs.clock.longestMs,
    problems: [...problems, ...judgement.problems],
    notes: [],
  }
}

/** Everything that can be done with one id. Returns what did not hold, in words. */
async function oneId(runs: ReplayRuns, client: Client): Promise<string[]> {
  const { world, context } = runs.stage
  const replayId = randomUUID()
  const request: ReplayRequest = {
    topic: runs.log.topic,
    targetTopic: world.topicName(`target-${replayId}`),
  }
  const other: ReplayRequest = { ...request, partition: 0 }
  const problems: string[] = []

  // Whoever comes first, it is one replay.
  const starts = Array.from({ length: startsAtOnce }, () => runs.api.startReplay(request, replayId))
  const [replay] = await Promise.all([
    runs.begin(request, replayId),
    startWithTemporal(runs.stage, replayId, request),
    ...starts,
  ])
  await replay.untilBeyond(0, runs.waiting('commits'))
  problems.push(...(await isRefused(runs, replayId, other)))
  // Temporal's CLI names the one that runs and changes nothing.
  await startWithTemporal(runs.stage, replayId, other)

  // Terminated: nobody fenced anything or wrote an end down, and slices may still run.
  await sleep(context.random.below(500), undefined, { signal: context.signal })
  await client.workflow.getHandle(`replay/${replayId}`).terminate('fault campaign')
  runs.clock.fault()
  problems.push(...(await isRefused(runs, replayId, other)))
  await startWithTemporal(runs.stage, replayId, request)
  await runs.api.startReplay(request, replayId)
  await runs.untilMoving(replay)
  await runs.end()

  // It is over: the same again says how it ended, another request is another replay's.
  const again = await runs.api.startReplay(request, replayId)
  if (again.status !== 'completed') problems.push(`${replayId} is ${again.status} when asked for again`)
  problems.push(...(await isRefused(runs, replayId, other)))
  await startWithTemporal(runs.stage, replayId, request)
  const result = await client.workflow.getHandle(`replay/${replayId}`).result()
  if (JSON.stringify(result) !== JSON.stringify(again.receipt))
    problems.push(`Temporal has another receipt of ${replayId}`)
  await startWithTemporal(runs.stage, replayId, other)
  problems.push(...(await failsAsReused(client, replayId)))
  return problems
}

async function isRefused(runs: ReplayRuns, replayId: string, other: ReplayRequest): Promise<string[]> {
  try {
    const { status } = await runs.api.startReplay(other, replayId)
    return [`${replayId} was taken with another request; it is ${status}`]
  } catch (error) {
    if (error instanceof ApiError && error.code === 'REPLAY_ID_REUSED') return []
    throw error
  }
}

async function failsAsReused(client: Client, replayId: string): Promise<string[]> {
  try {
    await client.workflow.getHandle(`replay/${replayId}`).result()
    return [`the workflow of ${replayId} completed with another request`]
  } catch (error) {
    const cause: unknown = error instanceof WorkflowFailedError ? error.cause : null
    const type = cause instanceof Error && 'type' in cause ? String(cause.type) : String(error)
    return type === 'REPLAY_ID_REUSED' ? [] : [`the workflow of ${replayId} failed with ${type}`]
  }
}

/** As people do it who know nothing of the API. */
async function startWithTemporal(
  { temporal, world }: Stage,
  replayId: string,
  request: ReplayRequest,
): Promise<void> {
  const command = await knownTemporal()
  if (command === null || temporal === null) throw new Error('there is no Temporal CLI')
  const { ok, output } = await runCommand(command, [
    ...['workflow', 'start', '--address', temporal.address, '--type', 'replay'],
    ...['--task-queue', world.name, '--workflow-id', `replay/${replayId}`],
    ...['--input', JSON.stringify(request)],
  ])
  if (!ok) throw new Error(`temporal workflow start failed:\n${output}`)
}
