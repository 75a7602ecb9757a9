/** Sees to it that notes which wait are on their way: the checkpoints in the database are the list, and this looks at it. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from '@temporalio/client'
import type { Logger } from '../logger.ts'
import type { NoteStore, PlaceStanding } from '../ports.ts'

export interface NoteRelayOptions {
  readonly client: Client
  readonly taskQueue: string
  /** Names of the places. */
  readonly places: readonly string[]
  readonly notes: Pick<NoteStore, 'standingOf'>
  readonly log: Logger
}

export interface NoteRelay {
  /** A note has come into being: look at once. */
  wake(): void
  stop(): Promise<void>
}

const LOOK_MS = 5_000
const CALL_MS = 8_000

/** One run for each place of an installation at a time. */
export const workflowIdOfSending = (taskQueue: string, place: string): string =>
  `send-notes/${taskQueue}/${place}`

/**
 * Looks every few seconds, in every worker, and starts `sendNotes` for each place where notes wait; one that runs already is
 * told of new ones and otherwise left alone. So a note that was stored by a process that died right then is sent by the next one
 * that looks.
 */
export function startNoteRelay({ client, taskQueue, places, notes, log }: NoteRelayOptions): NoteRelay {
  const stopping = new AbortController()
  let woken = new AbortController()
  let said = false
  /** How each place stood when its workflow was last told. */
  const told = new Map<string, PlaceStanding>()
  const seeTo = async (standing: PlaceStanding): Promise<void> => {
    const { place, waiting, flawed } = standing
    const before = told.get(place)
    // What is flawed is looked at again too: somebody may mend it.
    if (waiting > 0 || flawed !== null) {
      const isNew = before === undefined || hasNew(before, standing)
      await start(client, { taskQueue, place, isNew, signal: stopping.signal })
    }
    told.set(place, standing)
  }
  const look = async (): Promise<void> => {
    try {
      const seen = await Promise.allSettled((await notes.standingOf(places, { fromNow: true })).map(seeTo))
      const failed = seen.find((each) => each.status === 'rejected')
      if (failed !== undefined) throw failed.reason
      said = false
    } catch (error) {
      if (!said && !stopping.signal.aborted) log.warn('notes that wait cannot be seen to', { error })
      said = true
    }
  }
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted && places.length > 0) {
      // What comes while it looks is looked at again.
      woken = new AbortController()
      await look()
      await pause(LOOK_MS, AbortSignal.any([stopping.signal, woken.signal]))
    }
  }
  const running = run()
  return {
    wake: () => woken.abort(),
    async stop() {
      stopping.abort()
      await running
    },
  }
}

/** Checkpoints may become visible in another order than they are numbered in. */
const hasNew = (before: PlaceStanding, now: PlaceStanding): boolean =>
  (now.newestWaiting ?? 0n) > (before.newestWaiting ?? 0n) || now.waiting > before.waiting

interface Start {
  readonly taskQueue: string
  readonly place: string
  /** A run that waits for the pauses of what failed is woken for it. */
  readonly isNew: boolean
  readonly signal: AbortSignal
}

async function start(client: Client, { taskQueue, place, isNew, signal }: Start): Promise<void> {
  const options = {
    taskQueue,
    workflowId: workflowIdOfSending(taskQueue, place),
    args: [{ place }],
    memo: { requestedBy: 'note relay' },
    staticSummary: `Notes for ${place}`,
    workflowTaskTimeout: '5 s',
  } as const
  const call = async (): Promise<void> => {
    if (isNew) await client.workflow.signalWithStart('sendNotes', { ...options, signal: 'notesWait' })
    else await client.workflow.start('sendNotes', { ...options, workflowIdConflictPolicy: 'USE_EXISTING' })
  }
  await client.withAbortSignal(signal, () => client.withDeadline(Date.now() + CALL_MS, call))
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch((error: unknown) => {
    if (!signal.aborted) throw error
  })
}
