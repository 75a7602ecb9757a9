/** A day that is detached, as people meet it: commands, API and workers on real servers. */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { ArchiveView } from '../../src/domain/archive/view.ts'
import { formatSigningKey } from '../../src/domain/evidence/noteKeys.ts'
import type { VerificationView } from '../../src/domain/verification/view.ts'
import { createArchiveOperations } from '../../src/replay/archiveOperations.ts'
import { createTemporalClient, type TemporalClient } from '../../src/replay/temporalClient.ts'
import { createVerificationOperations } from '../../src/replay/verificationOperations.ts'
import { startEdge } from '../api/edge.ts'
import { useDays } from '../archive/detachFixture.ts'
import { runEvidence } from '../cli/evidenceProcess.ts'
import { useStore } from '../store/fixture.ts'
import { PlatformProcess } from '../support/platform.ts'
import { testServers } from '../support/servers.ts'

const fixture = useStore('detachedflow')
const { dayOf, oldLog, drop } = useDays({ platform: fixture })
const taskQueue = `test-${randomUUID()}`
const folder = mkdtempSync(join(tmpdir(), 'streaming-ingest-detached-'))
const entry = fileURLToPath(new URL('../../src/recovery/main.ts', import.meta.url))
let temporal: TemporalClient
let worker: PlatformProcess

beforeAll(() => {
  const address = testServers().temporalAddress
  temporal = createTemporalClient({ address, namespace: 'default', taskQueue, apiKey: null, tls: null })
  worker = new PlatformProcess('worker', {
    KAFKA_BROKERS: testServers().kafkaBrokers,
    KAFKA_TOPICS: 'not-a-target',
    DATABASE_URL: fixture.database.appUrl,
    TEMPORAL_ADDRESS: address,
    TEMPORAL_TASK_QUEUE: taskQueue,
    CHECKPOINT_SIGNING_KEY: formatSigningKey('example.com/ingest', Buffer.alloc(32, 7)),
    ARCHIVE_PLACE: `file://${folder}`,
  })
})
afterAll(async () => {
  await worker.kill()
  await temporal.close()
  rmSync(folder, { recursive: true, force: true })
})

/** As `pnpm archive` starts it. */
const runArchive = (
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> =>
  new Promise((resolve) => {
    execFile(process.execPath, [entry, ...args], { env, cwd: tmpdir() }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
    })
  })

it('is archived, detached, verified, archived behind, and refused where it is asked for', {
  timeout: 120_000,
}, async () => {
  const open = await oldLog()
  const { topic } = open.log.identity
  const of = await dayOf(open)
  const { archives, holds, verifications, replays, queries, checkpoints } = fixture.store
  const edge = await startEdge({
    operations: {
      ...createArchiveOperations({ temporal, taskQueue, archives, holds, logs: queries, hasPlace: true }),
      ...createVerificationOperations({ temporal, taskQueue, verifications, replays, logs: queries }),
    },
    queries: { ...queries, ...checkpoints },
  })
  const inService = (...args: readonly string[]) => runArchive(args, { API_URL: edge.url })
  try {
    const made = await inService('create', '--topic', topic, '--json')
    expect(made.code, made.stderr).toBe(0)
    const { id } = JSON.parse(made.stdout) as ArchiveView
    const detached = await runArchive(['detach', '--day', of, '--reason', 'two years are over'], {
      DATABASE_ADMIN_URL: fixture.database.adminUrl,
    })
    expect([detached.code, detached.stdout]).toEqual([0, expect.stringContaining('with 300 events')])
    await drop(of)

    const verified = await runEvidence(['verify-log', '--topic', topic, '--json'], { API_URL: edge.url })
    expect(verified.code, verified.stderr).toBe(0)
    expect(JSON.parse(verified.stdout) as VerificationView).toMatchObject({
      status: 'intact',
      progress: { checked: '400', detached: '300', total: '700' },
      parts: [{ checked: '400', detached: { leaves: '300', days: [{ day: of, archives: [{ id }] }] } }],
    })
    const text = await runEvidence(['verify-log', '--topic', topic], { API_URL: edge.url })
    expect(text.stdout).toContain('intact, but for 300 detached leaves')
    expect(text.stdout).toContain(
      `detached with ${of}, and not looked at: 300 leaves of 0 to 300, held by ${id}`,
    )

    const over = await inService('create', '--topic', topic, '--partition', '0', '--from-leaf', '10')
    expect([over.code, over.stderr]).toEqual([2, expect.stringContaining(`in the archive ${id} in`)])
    const response = await fetch(`${edge.url}/archives`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ topic, from: of }),
    })
    expect([response.status, await response.json()]).toEqual([
      410,
      expect.objectContaining({ code: 'DETACHED' }),
    ])
    const rest = await inService('create', '--topic', topic)
    expect([rest.code, rest.stdout]).toEqual([0, expect.stringContaining('leaves 300 to 700')])
    const events = await fetch(`${edge.url}/events?topic=${topic}`)
    expect([events.status, await events.json()]).toEqual([410, expect.objectContaining({ code: 'DETACHED' })])
    expect((await fetch(`${edge.url}/events?topic=${topic}&partition=0&fromOffset=300`)).status).toBe(200)
    const gone = await fetch(`${edge.url}/events/00000000-0000-4000-8000-000000000005`)
    expect([gone.status, await gone.json()]).toEqual([
      404,
      expect.objectContaining({ detail: expect.stringContaining(`from ${of} to ${of} are detached`) }),
    ])
  } finally {
    await edge.close()
  }
})
