/** A Temporal worker that outlives Temporal's absences. */
import { setTimeout as sleep } from 'node:timers/promises'
import { NativeConnection, Worker } from '@temporalio/worker'
import type { ActivityDependencies } from '../../activities/dependencies.ts'
import { createActivities } from '../../activities/index.ts'
import { installRuntime } from './runtime.ts'
import { registerSearchAttributes } from './searchAttributes.ts'
import { connectionOptions, type TemporalConfig } from './temporalClient.ts'
import { loadWorkflowBundle, type WorkflowBundle } from './workflowBundle.ts'

export interface ReplayWorkerOptions {
  readonly temporal: TemporalConfig
  readonly activities: ActivityDependencies
  /** Slices and other activities at once; at most as many as the database has connections. */
  readonly maxConcurrentActivities: number
  /** For tests that share one. */
  readonly bundle?: WorkflowBundle
}

export interface ReplayWorker {
  /** Whether it takes work now, or waits for Temporal. */
  state(): 'waiting' | 'running' | 'stopped'
  /** Slices end with the page at hand; resolves when all work is handed back. */
  stop(): Promise<void>
}

const RECONNECT_MS = 1_000
/** Longer than a page, and than what a hanging page is given. */
const SHUTDOWN_GRACE_MS = 8_000
/**
 * Heartbeats carry cancellations back: pause and cancel act this soon, and a killed worker is noticed a heartbeat
 * time-out after its last one.
 */
const HEARTBEAT_THROTTLE_MS = 1_000
/**
 * Tasks are asked for in few calls: one that lies with Temporal for a worker that is frozen or cut off swallows a task for
 * a heartbeat time-out (an activity) or a task time-out (a workflow). With the eight and ten of the SDK's defaults it took
 * others up to 25 s to go on. Two is the least for workflows: their own queue and the one of a worker's cache.
 */
const ACTIVITY_POLLS = 1
const WORKFLOW_POLLS = 2
/** A workflow task for a worker that is gone waits this long before another one may take it. */
const STICKY_MS = 3_000

/**
 * Starts at once and returns; waits for Temporal as long as it takes, and says so once. A worker that can never run, since
 * its workflows cannot be bundled, leaves a rejection unhandled: that ends the process, which would do nothing for ever.
 */
export function startReplayWorker(options: ReplayWorkerOptions): ReplayWorker {
  const { logger } = options.activities
  installRuntime(logger)
  const draining = new AbortController()
  let state: ReturnType<ReplayWorker['state']> = 'waiting'
  let worker: Worker | null = null

  async function runOnce(bundle: WorkflowBundle): Promise<void> {
    const connection = await NativeConnection.connect(connectionOptions(options.temporal))
    try {
      await registerSearchAttributes(connection, options.temporal.namespace)
      if (draining.signal.aborted) return
      worker = await createWorker(options, connection, bundle, draining.signal)
      state = 'running'
      logger.info('taking work from Temporal', { taskQueue: options.temporal.taskQueue })
      const ended = worker.run()
      // Asked to stop while it was being made: nobody else will tell it.
      if (draining.signal.aborted) worker.shutdown()
      await ended
    } finally {
      worker = null
      if (state === 'running') state = 'waiting'
      await connection.close()
    }
  }

  async function run(): Promise<void> {
    const bundle = options.bundle ?? (await loadWorkflowBundle(logger))
    let said = false
    while (!draining.signal.aborted) {
      try {
        await runOnce(bundle)
        said = false
      } catch (error) {
        if (!said) logger.warn('waiting for Temporal', { address: options.temporal.address, error })
        said = true
      }
      if (!draining.signal.aborted) await pauseFor(RECONNECT_MS, draining.signal)
    }
    state = 'stopped'
  }

  const running = run()
  running.catch((error: unknown) => {
    logger.error('the worker cannot run', { error })
    throw error
  })
  return {
    state: () => state,
    async stop() {
      draining.abort()
      if (worker?.getState() === 'RUNNING') worker.shutdown()
      await running
    },
  }
}

function createWorker(
  options: ReplayWorkerOptions,
  connection: NativeConnection,
  workflowBundle: WorkflowBundle,
  draining: AbortSignal,
): Promise<Worker> {
  return Worker.create({
    connection,
    namespace: options.temporal.namespace,
    taskQueue: options.temporal.taskQueue,
    workflowBundle,
    activities: createActivities(options.activities, draining),
    maxConcurrentActivityTaskExecutions: options.maxConcurrentActivities,
    maxConcurrentActivityTaskPolls: ACTIVITY_POLLS,
    maxConcurrentWorkflowTaskPolls: WORKFLOW_POLLS,
    maxHeartbeatThrottleInterval: HEARTBEAT_THROTTLE_MS,
    defaultHeartbeatThrottleInterval: HEARTBEAT_THROTTLE_MS,
    stickyQueueScheduleToStartTimeout: STICKY_MS,
    shutdownGraceTime: SHUTDOWN_GRACE_MS,
  })
}

async function pauseFor(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch((error: unknown) => {
    if (!signal.aborted) throw error
  })
}
