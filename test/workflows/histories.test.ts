import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from '@temporalio/worker'
import { DeterminismViolationError } from '@temporalio/workflow'
import { beforeAll, describe, expect, it } from 'vitest'
import { installRuntime } from '../../src/replay/runtime.ts'
import { loadWorkflowBundle, type WorkflowBundle } from '../../src/replay/workflowBundle.ts'
import { quiet } from './harness.ts'

const folder = join(import.meta.dirname, '../histories')
const names = readdirSync(folder).sort()

let workflowBundle: WorkflowBundle
beforeAll(async () => {
  installRuntime(quiet)
  workflowBundle = await loadWorkflowBundle(quiet)
})

interface Recorded {
  readonly workflowId: string
  readonly history: unknown
}

const read = (name: string, change: (text: string) => string = (text) => text): Recorded =>
  JSON.parse(change(readFileSync(join(folder, name), 'utf8')))

const play = ({ workflowId, history }: Recorded) =>
  Worker.runReplayHistory({ workflowBundle }, history, workflowId)

describe('a recorded history', () => {
  it('is there for every workflow', () => {
    for (const workflow of [
      'replay-',
      'replayLog-',
      'createCheckpoint',
      'archive-',
      'scheduledCheckpoint-',
      'sendNotes-',
      'verifyLog-',
      'verifyReplay-',
    ])
      expect(names.some((name) => name.startsWith(workflow))).toBe(true)
  })

  it.each(names)('%s is what the workflow does today', async (name) => {
    await play(read(name))
  })

  it.each([
    ['replay-completed.json', 'fenceReplay', 'finishReplay'],
    ['replayLog-paused.json', 'replaySlice', 'touchCursor'],
    ['createCheckpoint.json', 'storeCheckpoint', 'planReplay'],
    ['scheduledCheckpoint-due.json', 'checkpointDue', 'storeCheckpoint'],
    ['sendNotes-completed.json', 'placeNotes', 'storeCheckpoint'],
    ['sendNotes-refused.json', 'placeNotes', 'storeCheckpoint'],
    ['verifyLog-damaged.json', 'verifyLogSlice', 'planVerification'],
  ])('%s fails when it tells of another order of activities', async (name, was, other) => {
    const broken = read(name, (text) => text.replaceAll(`"${was}"`, `"${other}"`))
    await expect(play(broken)).rejects.toThrow(DeterminismViolationError)
  })

  it.each(names)('%s holds no events and stays small', (name) => {
    const text = readFileSync(join(folder, name), 'utf8')
    expect(text.length).toBeLessThan(400_000)
  })
})
