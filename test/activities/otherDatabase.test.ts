/** What was begun in a database that is gone, and whose workflow goes on: in another one the ids of logs are those of others. */
import { randomUUID } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { archiveSlice } from '../../activities/archive/archiveSlice.ts'
import { planArchive } from '../../activities/archive/planArchive.ts'
import { sealArchive } from '../../activities/archive/sealArchive.ts'
import { finishArchive, verifyArchiveSlice } from '../../activities/archive/verifyArchive.ts'
import { fenceReplay } from '../../activities/fenceReplay.ts'
import { planReplay } from '../../activities/planReplay.ts'
import { recoverCursor } from '../../activities/recoverCursor.ts'
import { replaySlice } from '../../activities/replaySlice.ts'
import { touchCursor } from '../../activities/touchCursor.ts'
import { finishVerification, planVerification } from '../../activities/verification/planVerification.ts'
import { verifyLogSlice } from '../../activities/verification/verifyLogActivity.ts'
import { planReplayVerification, verifyReplaySlice } from '../../activities/verification/verifyReplaySlice.ts'
import type { ProgressJson } from '../../src/domain/verification/progress.ts'
import { isRetryable, ServiceError } from '../../src/errors.ts'
import { createFolderArchives } from '../../src/places/archives/folder.ts'
import { withClient } from '../support/database.ts'
import { fill, scopeOf, usePlatform } from './fixture.ts'

const before = usePlatform('before')
const after = usePlatform('after')
const folder = mkdtempSync(join(tmpdir(), 'streaming-ingest-other-'))
const by = { requestedBy: 'ada' }
let topic = ''
/** The same in both databases. */
let logId = 0

beforeAll(async () => {
  topic = await before.broker.makeTopic()
  await fill(before.platform.store, { topic, count: 600 })
  await fill(after.platform.store, { topic: await after.broker.makeTopic(), count: 600 })
  const ids = await Promise.all(
    [before, after].map(async ({ platform }) => (await platform.store.queries.allLogs())[0]?.logId),
  )
  expect(ids[0]).toBe(ids[1])
  logId = ids[0] ?? 0
  const archivePlace = createFolderArchives(folder)
  for (const { platform } of [before, after]) platform.deps = { ...platform.deps, archivePlace }
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** The code, of an error that no attempt can mend. */
const finalCodeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    (error: unknown) =>
      error instanceof ServiceError && !isRetryable(error.code) ? error.code : `again: ${String(error)}`,
  )

/** Rows that the other database has of anything that was begun. */
const rowsAfter = (): Promise<unknown> =>
  withClient(after.platform.database.adminUrl, async (client) => {
    const tables = ['verifications', 'verification_parts', 'replays', 'archives', 'archive_files']
    const counts = tables.map((table) => `select count(*) as n from ${table}`).join(' union all ')
    const { rows } = await client.query<{ n: string }>(counts)
    return rows.map(({ n }) => Number(n))
  })

it('a verification of logs does not go on in another log', async () => {
  const verificationId = randomUUID()
  const input = { verificationId, workflowId: `verify-log/${verificationId}`, request: { topic }, ...by }
  await planVerification(before.platform.deps, input)
  // Ends with its first page.
  const settings = { ...before.platform.deps.settings, sliceMs: 0 }
  const progress: ProgressJson = await verifyLogSlice({ ...before.platform.deps, settings }, scopeOf(), {
    ...{ verificationId, logId, progress: null },
  })
  const { deps } = after.platform
  const slice = { verificationId, logId }
  for (const from of [null, progress])
    expect(await finalCodeOf(verifyLogSlice(deps, scopeOf(), { ...slice, progress: from }))).toBe(
      'VERIFICATION_NOT_FOUND',
    )
  // As from a heartbeat of an attempt before.
  const reported = { ...scopeOf(), reported: { progress } }
  expect(await finalCodeOf(verifyLogSlice(deps, reported, { ...slice, progress: null }))).toBe(
    'VERIFICATION_NOT_FOUND',
  )
  expect(await finalCodeOf(planVerification(deps, { ...input, goesOn: true }))).toBe('VERIFICATION_NOT_FOUND')
  expect(await finalCodeOf(finishVerification(deps, { verificationId, verdict: 'failed' }))).toBe(
    'VERIFICATION_NOT_FOUND',
  )
  // Where it was begun, it goes on.
  await planVerification(before.platform.deps, { ...input, goesOn: true })
  expect(await verifyLogSlice(before.platform.deps, scopeOf(), { ...slice, progress })).toMatchObject({
    ...{ done: true, size: '600' },
  })
  expect(await rowsAfter()).toEqual([0, 0, 0, 0, 0])
})

it('a replay goes on nowhere else, and nothing is produced twice', async () => {
  const replayId = randomUUID()
  const targetTopic = `${topic}-replay`
  const input = { replayId, request: { topic, targetTopic }, ...by }
  const { planId } = await planReplay(before.platform.deps, scopeOf(), input)
  await replaySlice(before.platform.deps, scopeOf(), { planId, logId })
  const { deps } = after.platform
  const codes = [
    replaySlice(deps, scopeOf(), { planId, logId }),
    touchCursor(deps, scopeOf(), { planId, logId }),
    fenceReplay(deps, scopeOf(), { planId }),
    recoverCursor(deps, scopeOf(), { planId, acceptDoubles: true }),
    planReplay(deps, scopeOf(), { ...input, goesOn: true }),
    verifyReplaySlice(deps, scopeOf(), { verificationId: randomUUID(), replayId, logId, progress: null }),
    planReplayVerification(deps, {
      ...{ verificationId: randomUUID(), workflowId: 'x', replayId, goesOn: true, ...by },
    }),
  ].map(finalCodeOf)
  expect(await Promise.all(codes)).toEqual([
    ...Array.from({ length: 5 }, () => 'REPLAY_NOT_FOUND'),
    ...['VERIFICATION_NOT_FOUND', 'VERIFICATION_NOT_FOUND'],
  ])
  expect(await before.broker.readCommitted(targetTopic)).toHaveLength(600)
  expect(await rowsAfter()).toEqual([0, 0, 0, 0, 0])
})

it('an archive takes nothing of another log', async () => {
  const archiveId = randomUUID()
  const input = { archiveId, workflowId: `archive/${archiveId}`, request: { topic }, ...by }
  await planArchive(before.platform.deps, input)
  const { deps } = after.platform
  const part = { archiveId, logId }
  const seal = { manifestHash: 'a'.repeat(64) }
  const codes = [
    archiveSlice(deps, scopeOf(), part),
    sealArchive(deps, scopeOf(), { archiveId, checkpointId: null }),
    verifyArchiveSlice(deps, scopeOf(), { ...part, ...seal, position: null }),
    finishArchive(deps, { archiveId, status: 'verified', ...seal }),
    planArchive(deps, { ...input, goesOn: true }),
  ].map(finalCodeOf)
  expect(await Promise.all(codes)).toEqual(Array.from({ length: 5 }, () => 'ARCHIVE_NOT_FOUND'))
  expect(readdirSync(folder)).toEqual([])
  expect(await archiveSlice(before.platform.deps, scopeOf(), part)).toMatchObject({ written: '600' })
  expect(await rowsAfter()).toEqual([0, 0, 0, 0, 0])
})
