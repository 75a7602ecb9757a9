/** Sees to it that notes which wait are on their way: the checkpoints in the database are the list, and this looks at it. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from '@temporalio/client'
import type { Logger } from '../logger.ts'
import type { NoteStore } from '../ports.ts'

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
 * left alone. So a note that was stored by a process that died right then is sent by the next one that looks.
 */
export function startNoteRelay({ client, taskQueue, places, notes, log }: NoteRelayOptions): NoteRelay {
  const stopping = new AbortController()
  let woken = new AbortController()
  let said = false
  const look = async (): Promise<void> => {
    try {
      for (const { place, waiting } of await notes.standingOf(places))
        if (waiting > 0) await start(client, taskQueue, place, stopping.signal)
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

async function start(client: Client, taskQueue: string, place: string, signal: AbortSignal): Promise<void> {
  const call = () =>
    client.workflow.start('sendNotes', {
      taskQueue,
      workflowId: workflowIdOfSending(taskQueue, place),
      workflowIdConflictPolicy: 'USE_EXISTING',
      args: [{ place }],
      memo: { requestedBy: 'note relay' },
      staticSummary: `Notes for ${place}`,
      workflowTaskTimeout: '5 s',
    })
  await client.withAbortSignal(signal, () => client.withDeadline(Date.now() + CALL_MS, call))
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch((error: unknown) => {
    if (!signal.aborted) throw error
  })
}
