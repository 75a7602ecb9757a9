/** The workflow types: the names are what people start. */
export { createCheckpoint } from './createCheckpoint.ts'
export { replay } from './replay.ts'
export { replayLog } from './replayLog.ts'
export { verifyLog } from './verifyLog.ts'
export { verifyReplay } from './verifyReplay.ts'
