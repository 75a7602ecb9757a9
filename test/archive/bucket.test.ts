/** Archives in a bucket of a real S3-compatible server: written, locked, read back, recovered from, and tried again when it is away. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { recover } from '../../src/archive/recover.ts'
import { ServiceError } from '../../src/errors.ts'
import { zstdCodec } from '../../src/places/archives/codec.ts'
import { openArchivePlace } from '../../src/places/archives/open.ts'
import { openRecovery } from '../../src/store/archive/recovery.ts'
import { appendTo, openLog } from '../store/fixture.ts'
import { type S3Server, s3Missing, startS3Server } from '../support/s3.ts'
import { motley } from '../verification/trueLog.ts'
import { archiveWith, key, rowsOf, useArchives, verdictOf } from './fixture.ts'

const missing = s3Missing()
if (missing !== null) console.warn(`skipped: archives in a real bucket (${missing})`)

describe.skipIf(missing !== null)('archives in a bucket', () => {
  const { platform, depsFor, emptyDatabase } = useArchives('bucket')
  let server: S3Server
  beforeAll(async () => {
    server = await startS3Server()
  }, 600_000)
  afterAll(() => server?.close())

  it('are written with locks, read back, and rebuild a database', { timeout: 60_000 }, async () => {
    const bucket = await server.makeBucket(`archives-${randomUUID().slice(0, 8)}`, { objectLock: true })
    const config = {
      kind: 's3',
      place: { ...bucket, prefix: 'kept/here/', lock: { mode: 'compliance', days: 1 } },
    } as const
    const place = openArchivePlace(config, server.credentials)
    expect(place.name).toBe(`s3://${bucket.bucket}/kept/here`)
    const open = await openLog(platform.store)
    const { entries, end } = motley(0n, 700)
    await appendTo(platform.store, open, entries, end)
    const { topic } = open.log.identity
    const id = randomUUID()
    expect(await archiveWith(depsFor(place), { topic }, id)).toMatchObject({
      ...{ status: 'verified', place: `${place.name}/${id}` },
    })
    const signal = new AbortController().signal
    expect(await place.folders(signal)).toEqual([id])
    expect(await place.get(`${id}/nothing`, 10, signal)).toBeNull()

    const database = await emptyDatabase()
    const from = {
      places: [place],
      codec: zstdCodec,
      notes: [],
      keys: [key.verifierKey],
      source: null,
      except: [],
      instance: null,
    }
    const run = async () => {
      const store = await openRecovery(database.adminUrl, new AbortController().signal)
      try {
        return await recover({
          ...{ ...from, store, verdictOf, requestedBy: 'test', signal, say: () => undefined, now: Date.now },
        })
      } finally {
        await store.close()
      }
    }
    await server.stop()
    const away = await run().catch((error: unknown) => error)
    expect(away).toBeInstanceOf(ServiceError)
    expect(away).toMatchObject({ code: 'PLACE_UNAVAILABLE' })
    await server.start()
    expect(await run()).toMatchObject({ logs: [{ leaves: '700' }] })
    expect(await rowsOf(database.adminUrl, topic)).toEqual(await rowsOf(platform.database.adminUrl, topic))
    place.close()
  })
})
