/** The workflow types: the names are what people start. */
export { archive } from './archive.ts'
export { createCheckpoint } from './createCheckpoint.ts'
export { replay } from './replay.ts'
export { replayLog } from './replayLog.ts'
export { scheduledCheckpoint } from './scheduledCheckpoint.ts'
export { sendNotes } from './sendNotes.ts'
export { verifyLog } from './verifyLog.ts'
export { verifyReplay } from './verifyReplay.ts'
