/** The input of the workflow `sendNotes`. Free of Node's modules, since workflows import it. */
import { z } from 'zod'
import { type Parsed, parseWith } from './requestFields.ts'

export interface SendNotesRequest {
  /** Name of a place in NOTE_PLACES. */
  readonly place: string
}

const shape = z.strictObject({
  place: z
    .string()
    .regex(/^[\w.:/@+-]{1,200}$/, 'is the name of a place: at most 200 letters, digits and ._:/@+-'),
})

/** Checks a request from outside. Every problem names its field. */
export const parseSendNotesRequest = (input: unknown): Parsed<SendNotesRequest> =>
  parseWith(shape as z.ZodType<SendNotesRequest>, input)
