import { randomUUID } from 'node:crypto'
import { Command } from 'commander'
import type { CheckpointView } from '../api/operations.ts'
import { parseRecoveryRequest } from '../domain/recoveryRequest.ts'
import type { ReplayRequest } from '../domain/replay.ts'
import type { ReplayView } from '../domain/replayView.ts'
import { parseWith, uuidText } from '../domain/requestFields.ts'
import { type ApiClient, OUTCOME_UNKNOWN } from './apiClient.ts'
import {
  type CheckpointFlags,
  checkpointRequestOf,
  type ReplayFlags,
  replayIdOf,
  replayRequestOf,
} from './arguments.ts'
import { verifyReplay } from './evidence/verifications.ts'
import { badInput, CliFailure } from './failure.ts'
import { type FollowContext, follow } from './follow.ts'
import { formatCheckpoint, formatProgress } from './format.ts'

export interface ProgramContext extends FollowContext {
  readonly exit: (code: number) => void
}

interface OutputFlags {
  readonly detach?: boolean
}

/** The commands of `pnpm replay`. Options are the same everywhere: `--json` for programs. */
export function createProgram(context: ProgramContext): Command {
  const program = new Command('replay')
    .description('Replay logged events, and take checkpoints to replay from')
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(text.replace(/\n(?=.)/g, ' ')) })
  const add = (name: string, description: string): Command =>
    program
      .command(name)
      .description(description)
      .option('--json', 'one JSON object on stdout; progress goes to stderr')
  addReplayCommands(add, context)
  addCheckpointCommands(add, context)
  addControlCommands(add, context)
  return program
}

type Add = (name: string, description: string) => Command

function addReplayCommands(add: Add, context: ProgramContext): void {
  const withFilters = (command: Command): Command =>
    command
      .requiredOption('--topic <topic>', 'source topic whose log is replayed')
      .option('--target-topic <topic>', 'where to (default: <topic>-replay)')
      .option('--partition <number>', 'only this source partition')
      .option('--event-types <list>', 'only these types, comma-separated')
      .option('--sources <list>', 'only these sources, comma-separated')
      .option('--tenant-ids <list>', 'only these tenants, comma-separated')
      .option('--detach', 'start it and do not wait for its end')
      .action(async (flags: ReplayFlags & OutputFlags) => {
        await startReplay(replayRequestOf(flags), flags.detach === true, context)
      })

  withFilters(
    add('from-checkpoint', 'replay what was logged after a checkpoint').requiredOption(
      '--checkpoint-id <uuid>',
      'checkpoint to start at',
    ),
  )
  withFilters(
    add('from-offset', 'replay a range of source offsets')
      .requiredOption('--from-offset <offset>', 'first offset')
      .option('--to-offset <offset>', 'offset behind the last one (default: all that is logged)'),
  )
}

async function startReplay(request: ReplayRequest, detach: boolean, context: ProgramContext): Promise<void> {
  const replay = await askForReplay(request, context.api)
  const { terminal } = context
  terminal.line(`replay ${replay.replayId} started: ${replay.topic} to ${replay.targetTopic}`)
  if (detach) {
    terminal.line(`Follow it: pnpm replay follow ${replay.replayId}`)
    terminal.result(replay)
    return
  }
  context.exit(await follow(replay.replayId, context))
}

/** The id is chosen here, so that a replay whose start was not answered can be found all the same. */
async function askForReplay(request: ReplayRequest, api: ApiClient): Promise<ReplayView> {
  const replayId = randomUUID()
  try {
    return (await api.post('/replay', request, { 'X-Replay-Id': replayId })) as ReplayView
  } catch (error) {
    if (!(error instanceof CliFailure) || error.code !== OUTCOME_UNKNOWN) throw error
    const line = `${error.message}, see: pnpm replay follow ${replayId}`
    throw new CliFailure(error.exitCode, error.code, line)
  }
}

function addCheckpointCommands(add: Add, context: ProgramContext): void {
  add('create-checkpoint', 'take a checkpoint of a position, or of all partitions of a topic')
    .requiredOption('--topic <topic>', 'source topic')
    .option('--partition <number>', 'only this source partition')
    .option(
      '--offset <offset>',
      'cover the offsets below; "Offset:5000" is understood (default: all that is logged)',
    )
    .action(async (flags: CheckpointFlags) => {
      const checkpoint = await context.api.post('/checkpoint', checkpointRequestOf(flags))
      showCheckpoint(checkpoint as CheckpointView, context)
    })

  add('get-checkpoint', 'show a checkpoint')
    .requiredOption('--checkpoint-id <uuid>', 'which one')
    .action(async (flags: { checkpointId: string }) => {
      const id = parseWith(uuidText, flags.checkpointId)
      if (!id.ok) throw badInput(id.problems.map(({ message }) => ({ path: 'checkpointId', message })))
      showCheckpoint((await context.api.get(`/checkpoint/${id.value}`)) as CheckpointView, context)
    })
}

function showCheckpoint(checkpoint: CheckpointView, { terminal }: ProgramContext): void {
  terminal.result(checkpoint)
  if (!terminal.json) for (const line of formatCheckpoint(checkpoint)) terminal.line(line)
}

function addControlCommands(add: Add, context: ProgramContext): void {
  add('follow', 'watch a replay to its end')
    .argument('<replay-id>')
    .action(async (given: string) => {
      context.exit(await follow(replayIdOf(given), context))
    })

  add('list', 'show the newest replays').action(async () => {
    await listReplays(context)
  })

  add('recover-cursor', 'go on, exactly, with a replay that failed with CURSOR_LOST')
    .argument('<replay-id>')
    .option('--reason <text>', 'why, for the record')
    .option('--accept-doubles', 'also where the target does not tell what it has: some events may come twice')
    .option('--detach', 'start it and do not wait for its end')
    .action(async (given: string, flags: RecoverFlags) => {
      await recoverCursor(replayIdOf(given), flags, context)
    })

  add('verify', 'read the target of a replay back, and compare it with what was planned')
    .argument('<replay-id>')
    .option('--detach', 'start it and do not wait for its end')
    .action((given: string, flags: OutputFlags) =>
      verifyReplay(given, flags, { terminal: context.terminal, connect: () => context.api }),
    )

  const controls = {
    cancel: 'stop a replay for good; what it has committed stays',
    pause: 'hold a replay until it is resumed',
    resume: 'let a paused replay go on',
  }
  for (const [verb, description] of Object.entries(controls))
    add(verb, description)
      .argument('<replay-id>')
      .action(async (given: string) => {
        const replay = await control(context.api, replayIdOf(given), verb)
        context.terminal.result(replay)
        const asked = verb === 'cancel' && replay.status !== 'cancelled' ? ', to be cancelled' : ''
        context.terminal.line(`replay ${replay.replayId}: ${showProgress(replay)}${asked}`)
      })
}

interface RecoverFlags extends OutputFlags {
  readonly reason?: string
  readonly acceptDoubles?: boolean
}

/** A replay that lost its cursor goes on behind what its target holds; then it is followed like a new one. */
async function recoverCursor(replayId: string, flags: RecoverFlags, context: ProgramContext): Promise<void> {
  const parsed = parseRecoveryRequest({
    ...(flags.acceptDoubles === true && { acceptDoubles: true }),
    ...(flags.reason !== undefined && { reason: flags.reason }),
  })
  if (!parsed.ok) throw badInput(parsed.problems)
  const path = `/replay/${encodeURIComponent(replayId)}/recover-cursor`
  const replay = (await context.api.post(path, parsed.value)) as ReplayView
  context.terminal.line(`the cursor of replay ${replayId} is recovered, then the replay goes on`)
  if (flags.detach !== true) {
    context.exit(await follow(replayId, context))
    return
  }
  context.terminal.line(`Follow it: pnpm replay follow ${replayId}`)
  context.terminal.result(replay)
}

async function control(api: ApiClient, replayId: string, verb: string): Promise<ReplayView> {
  const answer = await api.post(`/replay/${encodeURIComponent(replayId)}/${verb}`, {})
  return answer as ReplayView
}

async function listReplays({ api, terminal }: ProgramContext): Promise<void> {
  const page = (await api.get('/replays?limit=20')) as { items: readonly ReplayView[] }
  terminal.result(page)
  if (terminal.json) return
  if (page.items.length === 0) terminal.line('There is no replay yet')
  for (const replay of page.items)
    terminal.line(`${replay.replayId}  ${replay.topic} to ${replay.targetTopic}  ${showProgress(replay)}`)
}

const showProgress = (replay: ReplayView): string =>
  formatProgress(replay, { eventsPerSecond: 0, secondsLeft: null })
