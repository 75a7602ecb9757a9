/** The input of the workflow `verifyReplay`. Free of Node's modules, since workflows import it. */
import { z } from 'zod'
import { isReplayId } from '../replayId.ts'
import { type Parsed, parseWith } from '../requestFields.ts'

export interface ReplayVerificationRequest {
  readonly replayId: string
}

const shape = z.strictObject({ replayId: z.string().refine(isReplayId, 'is not a replay id') })

/** Every problem names its field. */
export const parseReplayVerification = (input: unknown): Parsed<ReplayVerificationRequest> =>
  parseWith(shape as z.ZodType<ReplayVerificationRequest>, input)
