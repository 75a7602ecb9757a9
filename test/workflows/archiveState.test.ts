/** What an archive of thousands of logs plans and carries from run to run: far below the 2 MiB that Temporal takes. */
import { randomUUID } from 'node:crypto'
import { defaultPayloadConverter } from '@temporalio/common'
import { expect, it } from 'vitest'
import { nameOf } from '../../activities/archive/planArchive.ts'
import type { PlannedArchive } from '../../activities/contract.ts'
import { hashToHex, sha256 } from '../../src/domain/hash.ts'
import { frontierToBase64 } from '../../src/domain/merkle.ts'
import { leafIndex, logId, offset } from '../../src/domain/model.ts'
import {
  type ArchiveState,
  adoptParts,
  type CarriedArchive,
  carryArchive,
  progressOfArchive,
} from '../../workflows/archiveState.ts'

const LOGS = 5_000
const LEAVES = 2n ** 20n - 1n
/** Of that many leaves: as many hashes as there can be. */
const frontier = frontierToBase64(
  Array.from({ length: 20 }, (_, index) => sha256(Buffer.from(String(index)))),
)
const rootHash = sha256(Buffer.from('root'))

const planned = (topic: string): PlannedArchive['logs'] =>
  Array.from({ length: LOGS }, (_, index) => {
    const range = {
      ...{
        fromLeaf: leafIndex(0n),
        toLeaf: leafIndex(LEAVES),
        fromOffset: offset(0n),
        toOffset: offset(LEAVES),
      },
    }
    const identity = { topic, partition: index, topicId: randomUUID() }
    const log = { logId: logId(100_000 + index), identity, incarnation: 2, startOffset: offset(0n) }
    return {
      logId: log.logId,
      name: nameOf({ ...log, ...range, rootHash, written: 0n }),
      fromLeaf: String(range.fromLeaf),
      toLeaf: String(range.toLeaf),
    }
  })

const fresh = (manifestHash: string | null): ArchiveState => ({
  ...{ id: randomUUID(), name: 'orders', phase: 'writing', status: 'running', parts: [], manifestHash },
  ...{ checkpointId: randomUUID(), planned: true },
})

/** As `PartState` stands in the middle: before `at` all is done, the next four are begun. */
function midway(phase: 'writing' | 'verifying', at: number): ArchiveState {
  const state = fresh(phase === 'writing' ? null : hashToHex(rootHash))
  adoptParts(state, planned('orders'), null)
  const half = String(LEAVES / 2n)
  for (const [index, part] of state.parts.entries()) {
    const [isDone, isBegun] = [index < at, index < at + 4]
    if (phase === 'writing') {
      part.written = isDone
      part.writtenLeaf = isDone ? part.toLeaf : isBegun ? half : part.fromLeaf
      continue
    }
    part.written = true
    part.writtenLeaf = part.toLeaf
    part.verified = isDone
    if (isBegun)
      part.position = {
        files: 9,
        leaves: isDone ? part.toLeaf : half,
        frontier,
        ingestedAt: 1_790_000_000_000,
      }
  }
  return state
}

const bytesOf = (value: unknown): number => defaultPayloadConverter.toPayload(value)?.data?.length ?? 0
/** As the next run gets it. */
const handed = (carried: CarriedArchive): CarriedArchive => JSON.parse(JSON.stringify(carried))

it.each(['writing', 'verifying'] as const)(
  'what it carries while %s is small, and says the same',
  (phase) => {
    for (const at of [0, 2_000, LOGS]) {
      const before = midway(phase, at)
      const carried = carryArchive(before)
      expect(bytesOf(carried)).toBeLessThan(64 * 1024)
      const after = fresh(carried.manifestHash)
      adoptParts(after, planned('orders'), handed(carried))
      // Where a part is done, how it came there is nobody's business any more.
      const known = before.parts.map((part) => ({ ...part, position: part.verified ? null : part.position }))
      expect(after.parts).toEqual(known)
      expect({ ...progressOfArchive(after), id: '' }).toEqual({ ...progressOfArchive(before), id: '' })
    }
  },
)

it('what an older run carried is taken as it was meant', () => {
  for (const phase of ['writing', 'verifying'] as const) {
    const before = midway(phase, 2_000)
    const { id, manifestHash, checkpointId } = before
    const parts = before.parts.map(({ name: _, fromLeaf: __, toLeaf: ___, ...part }) => part)
    const after = fresh(manifestHash)
    adoptParts(after, planned('orders'), handed({ id, manifestHash, checkpointId, parts }))
    expect(after.parts).toEqual(before.parts)
  }
})

it.each(['orders', 'longest.'.repeat(32).slice(0, 249)])(
  'what is planned of logs of %s stays below a mebibyte',
  (topic) => {
    const bytes = bytesOf({ concurrency: 4, uncovered: true, logs: planned(topic) })
    expect(bytes).toBeGreaterThan(LOGS * 50)
    expect(bytes).toBeLessThan(1024 * 1024)
  },
)
