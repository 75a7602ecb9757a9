import {
  condition,
  continueAsNew,
  isCancellation,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow'
import type { PlacedNotes } from '../activities/contract.ts'
import { type PlaceRests, restingCount } from '../src/domain/evidence/noteRests.ts'
import { parseSendNotesRequest } from '../src/domain/noteRequest.ts'
import { placeNotes } from './activities.ts'
import { accept, describe, failure } from './failures.ts'
import { notesWait, tryAgain } from './messages.ts'

export interface SentNotes {
  readonly place: string
  /** Notes of which it is known now what became of them there. */
  readonly placed: number
}

/** What a run hands over to the next one. */
export interface SentBefore {
  readonly placed: number
  readonly rests?: PlaceRests
}

/**
 * Sends every note that a place outside the database does not have yet, for as long as it takes. What fails is tried again
 * after a pause of its own; a note that comes meanwhile is sent at once. Workers start it under `send-notes/<task queue>/<place>`
 * whenever notes wait, and signal `notesWait` when there is a new one; anybody else may too. `tryAgain` ends all pauses. `before` is what continue-as-new
 * hands over; runs of before there were pauses hand over a number.
 */
export async function sendNotes(input: unknown, before?: SentBefore | number | null): Promise<SentNotes> {
  const { place } = accept(parseSendNotesRequest(input))
  const continued = workflowInfo().continuedFromExecutionRunId !== undefined
  const handed = continued ? (before ?? 0) : 0
  let { placed, rests }: SentBefore = typeof handed === 'number' ? { placed: handed } : handed
  let rung = false
  let forgets = false
  setHandler(
    notesWait,
    () => {
      rung = true
    },
    { description: 'A note has come into being: it is sent at once' },
  )
  setHandler(
    tryAgain,
    () => {
      rung = true
      forgets = true
    },
    { description: 'Tries all that waits at once, whatever pauses it has' },
  )
  for (;;) {
    setCurrentDetails(`${placed} notes settled at ${place}`)
    if (forgets) rests = undefined
    rung = false
    forgets = false
    const slice = await send(place, rests)
    placed += slice.placed
    rests = slice.rests
    if (!slice.more && rests === undefined && !rung) return { place, placed }
    if (workflowInfo().continueAsNewSuggested && !forgets)
      return await continueAsNew<typeof sendNotes>(
        { place },
        { placed, ...(rests !== undefined && { rests }) },
      )
    if (slice.more || rests === undefined || rung) continue
    const why = slice.failure === undefined ? '' : `: ${slice.failure.detail}`
    setCurrentDetails(`${placed} notes settled at ${place}; logs that wait: ${restingCount(rests)}${why}`)
    await condition(() => rung, slice.againInMs ?? DEFAULT_PAUSE_MS)
  }
}

const DEFAULT_PAUSE_MS = 60_000

/** What ends an activity ends the workflow with its own code and text. */
async function send(place: string, rests: PlaceRests | undefined): Promise<PlacedNotes> {
  try {
    const input = { place, ...(rests !== undefined && { rests }) }
    return await placeNotes.executeWithOptions({ summary: place }, [input])
  } catch (error) {
    if (isCancellation(error)) throw error
    const { code, detail } = describe(error)
    throw failure(code, detail)
  }
}
