/** What can be asked of the workflows while they run. Names are an interface: people use them with `temporal workflow update`. */
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow'
import type { ArchiveProgress } from '../src/domain/archive/view.ts'
import type { ReplayView } from '../src/domain/replayView.ts'
import type { VerificationProgress } from '../src/domain/verification/view.ts'

/** Resolves when no slice runs any more, or after some seconds. Rejected with REPLAY_ENDED at the end. */
export const pause = defineUpdate<ReplayView>('pause')
export const resume = defineUpdate<ReplayView>('resume')
export const progress = defineQuery<ReplayView>('progress')

/** Of a verification. */
export const verificationProgress = defineQuery<VerificationProgress>('progress')

/** Of an archive. */
export const archiveProgress = defineQuery<ArchiveProgress>('progress')

export interface LogReport {
  readonly partition: number
  readonly cursor: string
  readonly events: string
  /** Paused, and no slice runs. */
  readonly idle: boolean
}

/** Parent to child. */
export const setPaused = defineSignal<[paused: boolean]>('setPaused')
/** Child to parent. */
export const reportLog = defineSignal<[report: LogReport]>('reportLog')

/** To `sendNotes`: a note has come into being. */
export const notesWait = defineSignal('notesWait')
/** To `sendNotes`: whoever mended something does not want to wait for a pause to end. */
export const tryAgain = defineSignal('tryAgain')
