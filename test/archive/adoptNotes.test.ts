/** `pnpm archive adopt-notes` as its own process: broken off and begun again, without an address, with the same key twice. */
import { randomUUID } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { currentSigners } from '../../activities/signers.ts'
import type { ArchiveView } from '../../src/domain/archive/view.ts'
import { signCheckpoint } from '../../src/domain/evidence/checkpointNote.ts'
import { formatSigningKey, parseSigningKey, type SigningKey } from '../../src/domain/evidence/noteKeys.ts'
import { notePath } from '../../src/domain/evidence/notePlace.ts'
import { formatOrigin, nameOf } from '../../src/domain/evidence/origin.ts'
import { leafIndex } from '../../src/domain/model.ts'
import { startEdge } from '../api/edge.ts'
import { taken } from '../domain/evidence/keys.ts'
import { appendTo, openLog } from '../store/fixture.ts'
import { withClient } from '../support/database.ts'
import { until } from '../support/platform.ts'
import { trueEvents } from '../verification/trueLog.ts'
import { key, useArchives } from './fixture.ts'
import { type Started, start } from './process.ts'

const NOTES = 250
const NAME = 'example.com/ingest'
const { platform, makeFolder, archive, checkpoint } = useArchives('adopting')
let folder = ''
let logId = 0

beforeAll(async () => {
  folder = makeFolder()
  const { store } = platform
  await withClient(platform.database.adminUrl, (client) => client.query(waitAtSome))
  await currentSigners(store.signingKeys, { keys: [key], overlapMs: 0 })
  const open = await openLog(store)
  await appendTo(store, open, trueEvents(0n, BigInt(NOTES)), BigInt(NOTES))
  logId = open.log.logId
  const origin = formatOrigin({ instance: NAME, ...nameOf(open.log) })
  mkdirSync(dirname(join(folder, notePath(origin, 1n))), { recursive: true })
  for (let size = 1n; size <= NOTES; size++) {
    const root = await store.reader.rootAt(open.log.logId, leafIndex(size))
    const note = signCheckpoint({ origin, size, root, extensions: [] }, [key])
    writeFileSync(join(folder, notePath(origin, size)), note)
  }
}, 60_000)

const adopt = (keys: readonly string[], env: Readonly<Record<string, string>>): Started => {
  const flags = keys.flatMap((each) => ['--key', each])
  return start(['adopt-notes', '--notes', folder, ...flags, '--json'], env)
}

const adopted = (): Promise<number> =>
  withClient(platform.database.adminUrl, async (client) => {
    const { rows } = await client.query(
      'select count(*)::integer as count from checkpoint_positions where log_id = $1 and note is not null',
      [logId],
    )
    return rows[0]?.count
  })

/** Whoever adopts the note of one of these sizes waits for whoever holds the advisory lock of that number. */
const WAITING = { SIGTERM: 40, SIGINT: 80 } as const
const waitAtSome = `
  create function wait_at_some() returns trigger language plpgsql as $$
    begin
      if new.size in (${Object.values(WAITING).join(', ')}) then perform pg_advisory_xact_lock(new.size); end if;
      return new;
    end $$;
  create trigger wait_at_some before insert on checkpoint_positions for each row execute function wait_at_some()`

it.each(['SIGTERM', 'SIGINT'] as const)('ends at %s in the middle, and says so', async (signal) => {
  await withClient(platform.database.adminUrl, async (holder) => {
    await holder.query('select pg_advisory_lock($1)', [WAITING[signal]])
    const running = adopt([key.verifierKey.text], { DATABASE_URL: platform.database.appUrl })
    const waiting = `select from pg_locks where locktype = 'advisory' and not granted
                        and database = (select oid from pg_database where datname = current_database())`
    await until(
      async () => (await holder.query(waiting)).rowCount,
      30_000,
      () => 'it does not come to the note',
    )
    expect(await adopted()).toBe(WAITING[signal] - 1)
    const signalledAt = performance.now()
    running.kill(signal)
    await holder.query('select pg_advisory_unlock($1)', [WAITING[signal]])
    const { code, stdout, stderr } = await running.ended
    expect(performance.now() - signalledAt).toBeLessThan(5_000)
    expect([code, JSON.parse(stdout)]).toEqual([1, { error: { code: 'INTERRUPTED', detail: 'interrupted' } }])
    expect(stderr.trimEnd().split('\n').at(-1)).toBe('interrupted')
  })
  expect(await adopted()).toBeLessThan(NOTES)
})

it('goes on where it was, and comes to its end; the same key given in every way is one key', async () => {
  const before = await adopted()
  const list = join(makeFolder(), 'keys')
  writeFileSync(list, `# twice\n${key.verifierKey.text}\n${key.verifierKey.text}\n`)
  const { text } = key.verifierKey
  const { code, stdout } = await adopt([text, list, text, `${text}\n`], {
    DATABASE_URL: platform.database.appUrl,
  }).ended
  const report = JSON.parse(stdout)
  expect([code, report.complete]).toEqual([0, true])
  expect(report.logs).toMatchObject([
    { provenTo: String(NOTES), adopted: NOTES - before, present: before, waiting: [] },
  ])
  expect(before).toBeGreaterThanOrEqual(WAITING.SIGINT - 1)
  expect(await adopted()).toBe(NOTES)
})

it('is not content with no notes, nor is a recovery with no archives', async () => {
  const env = { DATABASE_URL: platform.database.appUrl, DATABASE_ADMIN_URL: platform.database.adminUrl }
  const said = async (...args: string[]) => {
    const { code, stdout } = await start([...args, '--json'], env).ended
    return [code, JSON.parse(stdout)]
  }
  const refused = (path: string) => [2, { error: { code: 'BAD_REQUEST', errors: [{ path }] } }]
  expect(await said('adopt-notes', '--key', key.verifierKey.text)).toMatchObject(refused('--notes'))
  expect(await said('recover', '--key', key.verifierKey.text)).toMatchObject(refused('--from'))
  const empty = makeFolder()
  expect(await said('adopt-notes', '--notes', empty)).toMatchObject(refused('notes'))
})

it('takes the notes in the manifests of archives', async () => {
  const open = await openLog(platform.store)
  const { topic } = open.log.identity
  await appendTo(platform.store, open, trueEvents(0n, 20n), 20n)
  await checkpoint(topic)
  const archives = makeFolder()
  await archive(archives, { topic, partition: 0, fromLeaf: '0', toLeaf: '10' })
  const { code, stdout } = await start(
    ['adopt-notes', '--from', archives, '--key', key.verifierKey.text, '--json'],
    { DATABASE_URL: platform.database.appUrl },
  ).ended
  expect([code, JSON.parse(stdout)]).toMatchObject([
    0,
    { complete: true, logs: [{ provenTo: '20', adopted: 0, present: 1 }] },
  ])
})

it.each<NodeJS.Signals>(['SIGTERM', 'SIGINT'])(
  'who only watches stops at %s, and is told what goes on',
  async (signal) => {
    const id = randomUUID()
    let looks = 0
    const edge = await startEdge({
      operations: {
        getArchive: async () => {
          looks++
          return runningArchive(id)
        },
      },
    })
    try {
      const watching = start(['show', id, '--json'], { API_URL: edge.url })
      await until(
        () => looks >= 2,
        20_000,
        () => 'nobody looks',
      )
      watching.kill(signal)
      const { code, stdout, stderr } = await watching.ended
      const detail = `interrupted: the archive goes on. Follow it: pnpm archive show ${id}`
      expect([code, stderr, JSON.parse(stdout)]).toEqual([
        1,
        `${detail}\n`,
        { error: { code: 'INTERRUPTED', detail } },
      ])
    } finally {
      await edge.close()
    }
  },
)

const runningArchive = (id: string): ArchiveView => ({
  ...{ id, workflowId: `archive/${id}`, status: 'running', request: {}, place: '/mnt/archives', logs: [] },
  ...{ createdAt: '2026-11-26T00:00:00.000Z', createdBy: 'ada' },
  progress: { logs: 1, leaves: '10', written: '5', files: 0, bytes: '0' },
})

describe('what cannot be done', () => {
  it('without an address is said in one line, before anything is read', async () => {
    const { code, stdout, stderr } = await adopt(['no-such-file'], {}).ended
    expect([code, stderr]).toEqual([2, 'DATABASE_URL is not set: give the URL of the database\n'])
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'BAD_REQUEST' } })
    const recovering = start(['recover', '--from', folder, '--key', 'no-such-file'], {})
    const { code: recovered, stderr: line } = await recovering.ended
    expect([recovered, line.split('\n')]).toEqual([2, [expect.stringMatching(/^DATABASE_ADMIN_URL/), '']])
  })

  it('two keys of one name and id are told apart by nothing: both are refused, by every command', async () => {
    // Found by trying: SHA-256 gives the keys of these two seeds the same first four bytes.
    const [one, other] = [5_711, 110_540].map((number): SigningKey => {
      const seed = Buffer.alloc(32)
      seed.writeUInt32BE(number, 28)
      return taken(parseSigningKey(formatSigningKey(NAME, seed)))
    })
    const given = [one, other].map((each) => each?.verifierKey.text ?? '')
    expect(given[0]).not.toBe(given[1])
    const env = { DATABASE_URL: platform.database.appUrl }
    const refusal = `--key: two different keys are called ${NAME}+9e017f6e`
    const { code, stderr } = await adopt(given, env).ended
    expect([code, stderr]).toEqual([2, expect.stringContaining(refusal)])
    const flags = given.flatMap((each) => ['--key', each])
    for (const args of [
      ['verify', folder],
      ['recover', '--from', folder],
    ]) {
      const ended = await start([...args, ...flags], {
        ...env,
        DATABASE_ADMIN_URL: platform.database.adminUrl,
      }).ended
      expect([ended.code, ended.stderr]).toEqual([2, expect.stringContaining(refusal)])
    }
  })
})
