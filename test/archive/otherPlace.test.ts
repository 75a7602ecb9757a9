/** Workers whose ARCHIVE_PLACE is not where an archive was begun: none of them writes or reads a part of it. */
import { randomUUID } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { archiveSlice } from '../../activities/archive/archiveSlice.ts'
import { planArchive } from '../../activities/archive/planArchive.ts'
import { sealArchive } from '../../activities/archive/sealArchive.ts'
import { verifyArchiveSlice } from '../../activities/archive/verifyArchive.ts'
import { toFailure } from '../../activities/boundary.ts'
import { viewOfArchive } from '../../src/archive/viewOfArchive.ts'
import { createFolderArchives } from '../../src/places/archives/folder.ts'
import { openArchivePlace } from '../../src/places/archives/open.ts'
import type { ArchivePlace } from '../../src/ports.ts'
import { scopeOf } from '../activities/fixture.ts'
import { appendTo, openLog } from '../store/fixture.ts'
import { withClient } from '../support/database.ts'
import { trueEvents } from '../verification/trueLog.ts'
import { useArchives } from './fixture.ts'

const { platform, makeFolder, depsFor } = useArchives('other-place')
const places: ArchivePlace[] = []
let topic: string
let logId: number
beforeAll(async () => {
  const open = await openLog(platform.store)
  topic = open.log.identity.topic
  logId = open.log.logId
  await appendTo(platform.store, open, trueEvents(0n, 10n), 10n)
})
afterAll(() => {
  for (const place of places) place.close()
})

const plan = (place: ArchivePlace | null, archiveId: string) =>
  planArchive(depsFor(place), {
    ...{ archiveId, workflowId: `archive/${archiveId}`, request: { topic }, requestedBy: 'test' },
  })

/** Everything that a worker with this place is asked to do for the archive. */
const asked = (place: ArchivePlace | null, archiveId: string): [string, () => Promise<unknown>][] => {
  const deps = depsFor(place)
  const input = { archiveId, logId }
  return [
    ['planArchive', () => plan(place, archiveId)],
    ['archiveSlice', () => archiveSlice(deps, scopeOf(), input)],
    ['sealArchive', () => sealArchive(deps, scopeOf(), { archiveId, checkpointId: null })],
    [
      'verifyArchiveSlice',
      () => verifyArchiveSlice(deps, scopeOf(), { ...input, manifestHash: '0'.repeat(64), position: null }),
    ],
  ]
}

async function refusals(place: ArchivePlace | null, archiveId: string): Promise<readonly string[]> {
  const said: string[] = []
  for (const [name, ask] of asked(place, archiveId)) {
    const error: unknown = await ask().catch((thrown: unknown) => thrown)
    expect(error, name).toMatchObject({ code: 'ARCHIVE_PLACE_DIFFERS' })
    // Another worker may have the right place.
    expect(toFailure(error), name).toMatchObject({ nonRetryable: false, stack: '' })
    said.push(error instanceof Error ? error.message : '')
  }
  return said
}

it('another folder, and none, is refused in each step, and both are named', async () => {
  const [here, there] = [makeFolder(), makeFolder()]
  const archiveId = randomUUID()
  await plan(createFolderArchives(here), archiveId)
  for (const said of await refusals(createFolderArchives(there), archiveId))
    expect(said).toContain(`is at ${here}, and ARCHIVE_PLACE of this worker is ${there}:`)
  for (const said of await refusals(null, archiveId))
    expect(said).toContain(`is at ${here}, and ARCHIVE_PLACE of this worker is not set:`)
  expect(readdirSync(there)).toEqual([])
})

it('a bucket of the same name on another server is another place', async () => {
  const bucketAt = (endpoint: string | null): ArchivePlace => {
    const where = { bucket: 'kept', prefix: 'here/', endpoint, region: 'us-east-1', pathStyle: true }
    const place = openArchivePlace(
      { kind: 's3', place: { ...where, lock: null } },
      { accessKeyId: 'an-access-key', secretAccessKey: 'a-secret' },
    )
    places.push(place)
    return place
  }
  const [one, other] = [bucketAt('http://127.0.0.1:1'), bucketAt('http://127.0.0.1:2')]
  const archiveId = randomUUID()
  await plan(one, archiveId)
  for (const place of [other, bucketAt(null)])
    for (const said of await refusals(place, archiveId)) {
      expect(said).toContain(`is at s3://kept/here?endpoint=http://127.0.0.1:1, and ARCHIVE_PLACE of this`)
      expect(said).toContain(place.address)
      expect(said).not.toMatch(/an-access-key|a-secret/)
    }
  // For people it is called as before.
  const record = await platform.store.archives.getArchive(archiveId)
  if (record === null) throw new Error('no archive')
  expect(viewOfArchive(record).place).toBe(`s3://kept/here/${archiveId}`)

  // Written down by an older version, without the server: the name decides.
  const older = randomUUID()
  await plan({ ...one, address: one.name }, older)
  const { rows } = await withClient(platform.database.adminUrl, (client) =>
    client.query<{ place: string }>('select place from archives where id = $1', [older]),
  )
  expect(rows).toEqual([{ place: 's3://kept/here' }])
  expect(await plan(other, older)).toMatchObject({ logs: [{ logId }] })
  await refusals(createFolderArchives('/kept/here'), older)
})
