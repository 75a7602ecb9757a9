/** The activities as workflows call them. None gives up by count: what cannot get better by trying again says so. */
import { ActivityCancellationType, proxyActivities } from '@temporalio/workflow'
import type { Activities } from '../activities/contract.ts'

const common = {
  /** Every activity heartbeats once a second: a killed worker's work is given to another one after this silence. */
  heartbeatTimeout: '5 s',
  /** What was cancelled is waited for: afterwards it does nothing any more. */
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  /** A lost worker counts as an attempt too, so the longest wait is part of every recovery. */
  retry: { initialInterval: '500 ms', backoffCoefficient: 1.5, maximumInterval: '2 s' },
} as const

type Long = Pick<Activities, 'planReplay' | 'recoverCursor'>
type Slice = Pick<Activities, 'replaySlice' | 'fenceReplay' | 'verifyLogSlice' | 'verifyReplaySlice'>
type Quick = Pick<
  Activities,
  | 'touchCursor'
  | 'finishReplay'
  | 'recordStatus'
  | 'storeCheckpoint'
  | 'planArchive'
  | 'finishArchive'
  | 'checkpointDue'
  | 'planVerification'
  | 'finishVerification'
  | 'planReplayVerification'
>

/** A place that is away is no failure of it: it says when to try again. What fails is the database, or the worker. */
export const { placeNotes } = proxyActivities<Pick<Activities, 'placeNotes'>>({
  ...common,
  startToCloseTimeout: '5 minutes',
  retry: { ...common.retry, maximumInterval: '5 s' },
})

type Archiving = Pick<Activities, 'archiveSlice' | 'sealArchive' | 'verifyArchiveSlice'>

/** The place of archives may be away for long. */
export const { archiveSlice, sealArchive, verifyArchiveSlice } = proxyActivities<Archiving>({
  ...common,
  startToCloseTimeout: '30 minutes',
  retry: { ...common.retry, maximumInterval: '10 s' },
})

/** They go through whole ranges. */
export const { planReplay, recoverCursor } = proxyActivities<Long>({
  ...common,
  startToCloseTimeout: '2 hours',
})

export const { replaySlice, fenceReplay, verifyLogSlice, verifyReplaySlice } = proxyActivities<Slice>({
  ...common,
  startToCloseTimeout: '10 minutes',
})

export const {
  touchCursor,
  finishReplay,
  recordStatus,
  storeCheckpoint,
  planArchive,
  finishArchive,
  checkpointDue,
  planVerification,
  finishVerification,
  planReplayVerification,
} = proxyActivities<Quick>({
  ...common,
  startToCloseTimeout: '1 minute',
})
