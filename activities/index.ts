import { createReopening } from '../src/archive/readArchive.ts'
import { archiveSlice } from './archive/archiveSlice.ts'
import { planArchive } from './archive/planArchive.ts'
import { sealArchive } from './archive/sealArchive.ts'
import { finishArchive, verifyArchiveSlice } from './archive/verifyArchive.ts'
import { runActivity } from './boundary.ts'
import { checkpointDue } from './checkpointDue.ts'
import type { Activities } from './contract.ts'
import type { ActivityDependencies } from './dependencies.ts'
import { fenceReplay } from './fenceReplay.ts'
import { finishReplay, recordStatus } from './finishReplay.ts'
import { placeNotes } from './placeNotes.ts'
import { planReplay } from './planReplay.ts'
import { recoverCursor } from './recoverCursor.ts'
import { replaySlice } from './replaySlice.ts'
import { storeCheckpoint } from './storeCheckpoint.ts'
import { touchCursor } from './touchCursor.ts'
import { finishVerification, planVerification } from './verification/planVerification.ts'
import { verifyLogSlice } from './verification/verifyLogActivity.ts'
import { planReplayVerification, verifyReplaySlice } from './verification/verifyReplaySlice.ts'

/**
 * The activities over what they need. `draining` is aborted when the worker is asked to stop: slices then return after
 * the page at hand, and another worker goes on.
 */
export function createActivities(deps: ActivityDependencies, draining: AbortSignal): Activities {
  const never = new AbortController().signal
  const reopen = createReopening()
  return {
    planReplay: (input) => runActivity(deps, never, (scope) => planReplay(deps, scope, input)),
    replaySlice: (input) => runActivity(deps, draining, (scope) => replaySlice(deps, scope, input)),
    touchCursor: (input) => runActivity(deps, never, (scope) => touchCursor(deps, scope, input)),
    fenceReplay: (input) => runActivity(deps, never, (scope) => fenceReplay(deps, scope, input)),
    recoverCursor: (input) => runActivity(deps, draining, (scope) => recoverCursor(deps, scope, input)),
    finishReplay: (input) => runActivity(deps, never, () => finishReplay(deps, input)),
    recordStatus: (input) => runActivity(deps, never, () => recordStatus(deps, input)),
    planVerification: (input) => runActivity(deps, never, () => planVerification(deps, input)),
    verifyLogSlice: (input) => runActivity(deps, draining, (scope) => verifyLogSlice(deps, scope, input)),
    planReplayVerification: (input) => runActivity(deps, never, () => planReplayVerification(deps, input)),
    verifyReplaySlice: (input) =>
      runActivity(deps, draining, (scope) => verifyReplaySlice(deps, scope, input)),
    finishVerification: (input) => runActivity(deps, never, () => finishVerification(deps, input)),
    planArchive: (input) => runActivity(deps, never, () => planArchive(deps, input)),
    archiveSlice: (input) => runActivity(deps, draining, (scope) => archiveSlice(deps, scope, input)),
    sealArchive: (input) => runActivity(deps, never, (scope) => sealArchive(deps, scope, input)),
    verifyArchiveSlice: (input) =>
      runActivity(deps, draining, (scope) => verifyArchiveSlice(deps, scope, input, reopen)),
    finishArchive: (input) => runActivity(deps, never, () => finishArchive(deps, input)),
    storeCheckpoint: (input) => runActivity(deps, never, () => storeCheckpoint(deps, input)),
    placeNotes: (input) => runActivity(deps, draining, (scope) => placeNotes(deps, scope, input)),
    checkpointDue: (input) => runActivity(deps, never, () => checkpointDue(deps, input)),
  }
}
