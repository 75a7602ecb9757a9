/** Workflows on the real Temporal server, with activities of the test's own. */
import { randomUUID } from 'node:crypto'
import { Context } from '@temporalio/activity'
import { Client, Connection } from '@temporalio/client'
import { ApplicationFailure } from '@temporalio/common'
import { NativeConnection, Worker } from '@temporalio/worker'
import type { Activities, LogInput, PlannedLog, SliceResult } from '../../activities/contract.ts'
import { emptyFrontier } from '../../src/domain/merkle.ts'
import { leafIndex } from '../../src/domain/model.ts'
import { addFindings, noFindings } from '../../src/domain/verification/finding.ts'
import { progressFromJson, progressToJson, startOf } from '../../src/domain/verification/progress.ts'
import { startOfTarget, targetFromJson, targetToJson } from '../../src/domain/verification/targetProgress.ts'
import { createLogger } from '../../src/logger.ts'
import { installRuntime } from '../../src/replay/runtime.ts'
import { registerSearchAttributes } from '../../src/replay/searchAttributes.ts'
import { loadWorkflowBundle } from '../../src/replay/workflowBundle.ts'
import { testServers } from '../support/servers.ts'

export const quiet = createLogger({ level: 'error' })

export interface Harness {
  readonly client: Client
  readonly native: NativeConnection
  readonly taskQueue: string
  /** A workflow id of type `replay` whose activities are these. */
  play(activities: Activities): string
  /** Workflows whose ids they make themselves have these. */
  playOthers(activities: Activities): void
  close(): Promise<void>
}

/** One worker for all tests of a file; each replay has activities of its own. */
export async function openHarness(address = testServers().temporalAddress): Promise<Harness> {
  installRuntime(quiet)
  const connection = await Connection.connect({ address })
  const native = await NativeConnection.connect({ address })
  await registerSearchAttributes(native, 'default')
  const taskQueue = `test-${randomUUID()}`
  const plays = new Map<string, Activities>()
  let others: Activities | undefined
  const current = (): Activities => {
    const [, id = ''] = Context.current().info.workflowExecution?.workflowId.split('/') ?? []
    const activities = plays.get(id) ?? others
    if (activities === undefined) throw ApplicationFailure.nonRetryable(`no activities for ${id}`)
    return activities
  }
  const activities: Activities = {
    planReplay: (input) => current().planReplay(input),
    replaySlice: (input) => current().replaySlice(input),
    touchCursor: (input) => current().touchCursor(input),
    fenceReplay: (input) => current().fenceReplay(input),
    recoverCursor: (input) => current().recoverCursor(input),
    finishReplay: (input) => current().finishReplay(input),
    recordStatus: (input) => current().recordStatus(input),
    storeCheckpoint: (input) => current().storeCheckpoint(input),
    planArchive: (input) => current().planArchive(input),
    archiveSlice: (input) => current().archiveSlice(input),
    sealArchive: (input) => current().sealArchive(input),
    verifyArchiveSlice: (input) => current().verifyArchiveSlice(input),
    finishArchive: (input) => current().finishArchive(input),
    placeNotes: (input) => current().placeNotes(input),
    checkpointDue: (input) => current().checkpointDue(input),
    planVerification: (input) => current().planVerification(input),
    verifyLogSlice: (input) => current().verifyLogSlice(input),
    planReplayVerification: (input) => current().planReplayVerification(input),
    verifyReplaySlice: (input) => current().verifyReplaySlice(input),
    finishVerification: (input) => current().finishVerification(input),
  }
  const worker = await Worker.create({
    connection: native,
    taskQueue,
    workflowBundle: await loadWorkflowBundle(quiet),
    activities,
    maxHeartbeatThrottleInterval: 100,
  })
  const run = worker.run()
  return {
    client: new Client({ connection }),
    native,
    taskQueue,
    play(own) {
      const id = randomUUID()
      plays.set(id, own)
      return `replay/${id}`
    },
    playOthers(own) {
      others = own
    },
    async close() {
      worker.shutdown()
      await run
      await native.close()
      await connection.close()
    },
  }
}

const notPart = async (): Promise<never> => {
  throw new Error('not part of this test')
}

/** Activities over numbers: a slice "replays" `step` offsets at a time. */
export function arithmeticActivities(options: {
  readonly logs: number
  readonly perLog: number
  readonly slice: (log: PlannedLog, from: bigint) => Promise<bigint>
}) {
  const cursors = new Map<number, bigint>()
  const calls: string[] = []
  const plannedLogs = Array.from(
    { length: options.logs },
    (_, index): PlannedLog => ({
      logId: index + 1,
      partition: index,
      from: '0',
      to: String(options.perLog),
      planned: String(options.perLog),
    }),
  )
  const logOf = ({ logId }: LogInput): PlannedLog => {
    const log = plannedLogs[logId - 1]
    if (log === undefined) throw new Error(`no log ${logId}`)
    return log
  }
  const activities: Activities = {
    async planReplay() {
      calls.push('plan')
      return { planId: randomUUID(), targetTopic: 'target', concurrency: 4, logs: plannedLogs, ended: null }
    },
    async replaySlice(input): Promise<SliceResult> {
      const log = logOf(input)
      const cursor = await options.slice(log, cursors.get(log.partition) ?? 0n)
      cursors.set(log.partition, cursor)
      return { cursor: String(cursor), events: String(cursor), done: cursor >= BigInt(log.to) }
    },
    async touchCursor() {
      calls.push('touch')
    },
    async fenceReplay() {
      calls.push('fence')
      const logs = plannedLogs.map(({ partition }) => {
        const cursor = String(cursors.get(partition) ?? 0n)
        return { partition, cursor, events: cursor, rootHash: '0'.repeat(64) }
      })
      return { targetUnchanged: true, logs }
    },
    async recoverCursor({ acceptDoubles }) {
      calls.push(acceptDoubles ? 'recover, doubles accepted' : 'recover')
      const logs = plannedLogs.map(({ partition }) => {
        const cursor = String(cursors.get(partition) ?? 0n)
        return { partition, cursor, events: cursor, by: 'read-back' as const }
      })
      return { logs }
    },
    async finishReplay({ status }) {
      calls.push(`finish ${status}`)
    },
    async recordStatus({ status }) {
      calls.push(status)
    },
    storeCheckpoint: notPart,
    planArchive: notPart,
    archiveSlice: notPart,
    sealArchive: notPart,
    verifyArchiveSlice: notPart,
    finishArchive: notPart,
    placeNotes: notPart,
    checkpointDue: notPart,
    planVerification: notPart,
    verifyLogSlice: notPart,
    planReplayVerification: notPart,
    verifyReplaySlice: notPart,
    finishVerification: notPart,
  }
  return { activities, calls, cursors }
}

type Verifying = Pick<
  Activities,
  | 'planVerification'
  | 'verifyLogSlice'
  | 'planReplayVerification'
  | 'verifyReplaySlice'
  | 'finishVerification'
>

/** Verifies three logs of 300 leaves, a hundred at a time; some are damaged. `patient`: no slice ends by itself. */
export function verifying(damaged: readonly number[], patient = false): Verifying {
  const head = {
    size: 300n,
    startOffset: 0n,
    nextOffset: 300n,
    bytes: 0n,
    frontier: emptyFrontier,
    createdMs: 0,
    flaw: null,
    lastIngestedMs: null,
  }
  const detail = 'it was changed'
  const finding = { kind: 'missing', leafIndex: '7', offset: null, count: '1', detail } as const
  const plan = async () => {
    const logs = [1, 2, 3].map((logId) => ({ logId, name: `events/${logId}`, size: '300' }))
    return { concurrency: 2, logs }
  }
  return {
    planVerification: plan,
    planReplayVerification: plan,
    async verifyReplaySlice({ progress }) {
      const before = progress === null ? startOfTarget(0n) : targetFromJson(progress)
      return targetToJson({ ...before, produced: before.produced + 150n, done: before.produced === 150n })
    },
    async verifyLogSlice({ logId, progress }) {
      const { cancellationSignal } = Context.current()
      while (patient && !cancellationSignal.aborted) {
        Context.current().heartbeat()
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      const before = progress === null ? startOf(head) : progressFromJson(progress)
      const size = leafIndex(before.size + (patient ? 0n : 100n))
      const found = damaged.includes(logId) && progress === null ? [finding] : []
      const findings = addFindings(progress === null ? noFindings : before.findings, found)
      return progressToJson({ ...before, size, findings, done: size === 300n })
    },
    async finishVerification({ verificationId: id, verdict }) {
      return {
        id,
        workflowId: `verify-log/${id}`,
        kind: 'log',
        status: verdict,
        request: {},
        createdAt: new Date(0).toISOString(),
        createdBy: 'ada',
        progress: { parts: 3, partsDone: 3, checked: '900', total: '900' },
        damaged: damaged.length,
        parts: [],
      }
    },
  }
}

type Archiving = Pick<
  Activities,
  'planArchive' | 'archiveSlice' | 'sealArchive' | 'verifyArchiveSlice' | 'finishArchive'
>

/** Archives two logs of 300 leaves, 150 at a time. `patient`: no slice ends by itself. */
export function archiving(patient = false): Archiving {
  const written = new Map<number, number>()
  return {
    planArchive: async () => ({
      concurrency: 2,
      uncovered: true,
      logs: [1, 2].map((logId) => ({ logId, name: `events/${logId}`, fromLeaf: '0', toLeaf: '300' })),
    }),
    async archiveSlice({ logId }) {
      const { cancellationSignal } = Context.current()
      while (patient && !cancellationSignal.aborted) {
        Context.current().heartbeat()
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      const to = (written.get(logId) ?? 0) + (patient ? 0 : 150)
      written.set(logId, to)
      return { written: String(to), done: to === 300 }
    },
    sealArchive: async () => ({ manifestHash: '0'.repeat(64) }),
    async verifyArchiveSlice({ position }) {
      const files = (position?.files ?? 0) + 1
      return { position: { files, leaves: String(150 * files), frontier: '' }, done: files === 2 }
    },
    async finishArchive({ archiveId: id, status }) {
      return {
        ...{ id, workflowId: `archive/${id}`, status, request: {}, place: '/archives', createdBy: 'ada' },
        createdAt: new Date(0).toISOString(),
        progress: { logs: 2, leaves: '600', written: '600', files: 4, bytes: '1000' },
        logs: [],
      }
    },
  }
}
