/** An archive of many logs: what is asked of the database for all of them is not asked again for each. */
import { randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import { archiveSlice } from '../../activities/archive/archiveSlice.ts'
import { planArchive } from '../../activities/archive/planArchive.ts'
import { sealArchive } from '../../activities/archive/sealArchive.ts'
import type { ActivityDependencies } from '../../activities/dependencies.ts'
import { offset } from '../../src/domain/model.ts'
import { createFolderArchives } from '../../src/places/archives/folder.ts'
import { scopeOf } from '../activities/fixture.ts'
import { appendTo } from '../store/fixture.ts'
import { trueEvents } from '../verification/trueLog.ts'
import { useArchives } from './fixture.ts'

const { platform, makeFolder, depsFor, checkpoint } = useArchives('many-logs')

it('is planned and sealed in time that grows with their number, not with its square', async () => {
  const topicId = randomUUID()
  const topic = `many-${topicId}`
  for (let partition = 0; partition < 20; partition++) {
    const log = await platform.store.writer.openLog({ topic, topicId, partition }, offset(0n), 0)
    await appendTo(platform.store, { log, position: log.position }, trueEvents(0n, 2n), 2n)
  }
  // So that every log is looked at: none lacks a signature.
  await checkpoint(topic)
  const plain = depsFor(createFolderArchives(makeFolder()))
  const asked = { logsOf: 0, getArchive: 0, keyState: 0 }
  const counted = <Input extends readonly unknown[], Output>(
    name: keyof typeof asked,
    ask: (...input: Input) => Output,
  ) => {
    return (...input: Input): Output => {
      asked[name]++
      return ask(...input)
    }
  }
  const { log, archives, signingKeys } = plain
  const deps: ActivityDependencies = {
    ...plain,
    log: { ...log, logsOf: counted('logsOf', log.logsOf) },
    archives: { ...archives, getArchive: counted('getArchive', archives.getArchive) },
    signingKeys: { ...signingKeys, keyState: counted('keyState', signingKeys.keyState) },
  }
  const archiveId = randomUUID()
  const plan = await planArchive(deps, {
    ...{ archiveId, workflowId: `archive/${archiveId}`, request: { topic }, requestedBy: 'test' },
  })
  expect([plan.uncovered, plan.logs.length, asked]).toEqual([
    ...[false, 20, { logsOf: 1, getArchive: 1, keyState: 0 }],
  ])
  for (const { logId } of plan.logs) await archiveSlice(plain, scopeOf(), { archiveId, logId })
  await sealArchive(deps, scopeOf(), { archiveId, checkpointId: null })
  expect(asked).toEqual({ logsOf: 1, getArchive: 2, keyState: 2 })
})
