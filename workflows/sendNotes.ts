import { continueAsNew, isCancellation, setCurrentDetails, workflowInfo } from '@temporalio/workflow'
import type { PlacedNotes } from '../activities/contract.ts'
import { parseSendNotesRequest } from '../src/domain/noteRequest.ts'
import { placeNotes } from './activities.ts'
import { accept, describe, failure } from './failures.ts'

export interface SentNotes {
  readonly place: string
  /** Notes of which it is known now what became of them there. */
  readonly placed: number
}

/**
 * Sends every note that a place outside the database does not have yet, for as long as it takes. Workers start it under
 * `send-notes/<task queue>/<place>` whenever notes wait; anybody else may too. `before` is what continue-as-new hands over.
 */
export async function sendNotes(input: unknown, before?: number | null): Promise<SentNotes> {
  const { place } = accept(parseSendNotesRequest(input))
  const continued = workflowInfo().continuedFromExecutionRunId !== undefined
  let placed = continued ? (before ?? 0) : 0
  for (;;) {
    setCurrentDetails(`${placed} notes settled at ${place}`)
    const slice = await send(place)
    placed += slice.placed
    if (!slice.more) return { place, placed }
    if (workflowInfo().continueAsNewSuggested) return await continueAsNew<typeof sendNotes>({ place }, placed)
  }
}

/** What ends an activity ends the workflow with its own code and text. */
async function send(place: string): Promise<PlacedNotes> {
  try {
    return await placeNotes.executeWithOptions({ summary: place }, [{ place }])
  } catch (error) {
    if (isCancellation(error)) throw error
    const { code, detail } = describe(error)
    throw failure(code, detail)
  }
}
