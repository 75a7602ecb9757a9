/** An archive whose history grows large: it is cut, and nothing is written or read back twice. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Activities } from '../../activities/contract.ts'
import { archiving, arithmeticActivities, type Harness, openHarness } from './harness.ts'

let harness: Harness
beforeAll(async () => {
  harness = await openHarness()
})
afterAll(() => harness.close())

it('goes on in another run where it was', { timeout: 60_000 }, async () => {
  const [slices, reads] = [3, 8]
  const logs = [1, 2, 3]
  // The server asks for a new run at 4 MB.
  const frontier = 'A'.repeat(200_000)
  const calls = { seal: 0, checkpoint: 0 }
  /** What each run says of itself as it plans. */
  const plans: (boolean | undefined)[] = []
  const writes = new Map<number, number>()
  const verifies = new Map<number, number>()
  const counted = (calls: Map<number, number>, logId: number): number => {
    calls.set(logId, (calls.get(logId) ?? 0) + 1)
    return calls.get(logId) ?? 0
  }
  const { activities } = arithmeticActivities({ logs: 1, perLog: 1, slice: async (_log, from) => from })
  const own: Activities = {
    ...activities,
    ...archiving(),
    planArchive: async ({ goesOn }) => {
      plans.push(goesOn)
      return {
        ...{ concurrency: 1, uncovered: true },
        logs: logs.map((logId) => ({ logId, name: 'events/0', fromLeaf: '0', toLeaf: String(reads) })),
      }
    },
    storeCheckpoint: async ({ checkpointId }) => {
      calls.checkpoint++
      return {
        ...{ id: checkpointId, topic: 'events', createdAt: '', createdBy: 'ada', positions: [] },
      }
    },
    archiveSlice: async ({ logId }) => {
      const written = counted(writes, logId)
      return { written: String(written), done: written === slices }
    },
    sealArchive: async ({ checkpointId }) => {
      calls.seal++
      expect(checkpointId).not.toBeNull()
      return { manifestHash: 'a'.repeat(64) }
    },
    verifyArchiveSlice: async ({ logId, position, manifestHash }) => {
      const files = (position?.files ?? 0) + 1
      expect([files, manifestHash]).toEqual([counted(verifies, logId), 'a'.repeat(64)])
      return { position: { files, leaves: String(files), frontier }, done: files === reads }
    },
  }
  // The checkpoint that it makes is a workflow of its own.
  harness.playOthers(own)
  const workflowId = harness.play(own).replace('replay/', 'archive/')
  const { client, taskQueue } = harness
  const handle = await client.workflow.start('archive', {
    ...{ taskQueue, workflowId, args: [{ topic: 'events' }] },
  })
  expect(await handle.result()).toMatchObject({ status: 'verified' })
  expect(calls).toEqual({ seal: 1, checkpoint: 1 })
  expect([plans[0], new Set(plans.slice(1))]).toEqual([false, new Set([true])])
  expect([...writes]).toEqual(logs.map((logId) => [logId, slices]))
  expect([...verifies]).toEqual(logs.map((logId) => [logId, reads]))
  const { runId } = await client.workflow.getHandle(workflowId).describe()
  expect(runId).not.toBe(handle.firstExecutionRunId)
})
