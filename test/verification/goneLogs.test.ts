/** A log's own row that is gone, that holds nonsense, or that was moved forward: found, and written down as a result. */
import { randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import { logsToVerify, planVerification } from '../../activities/verification/planVerification.ts'
import { verifyLogSlice } from '../../activities/verification/verifyLogActivity.ts'
import { viewOfVerification } from '../../activities/verification/viewOfVerification.ts'
import { formatVerification } from '../../src/cli/evidence/verifications.ts'
import { leafIndex } from '../../src/domain/model.ts'
import type { VerificationRequest } from '../../src/domain/verification/request.ts'
import { ServiceError } from '../../src/errors.ts'
import { createLogger } from '../../src/logger.ts'
import type { VerificationRecord } from '../../src/ports.ts'
import { appendTo, type OpenLog, useStore } from '../store/fixture.ts'
import { withClient } from '../support/database.ts'
import { trueEvents, verdict, withoutGuards } from './trueLog.ts'
import { logOf, verifyWhole } from './verifyWhole.ts'

const fixture = useStore('gonelogs')

const damage = (text: string, open: OpenLog): Promise<void> =>
  withClient(fixture.database.adminUrl, (client) =>
    withoutGuards(client, async () => {
      await client.query('set session_replication_role = replica')
      expect((await client.query(text, [open.log.logId])).rowCount).toBe(1)
    }),
  )

async function checkpoint(open: OpenLog): Promise<string> {
  const { logId, identity } = open.log
  const { size, nextOffset } = open.position
  const rootHash = await fixture.store.reader.rootAt(logId, leafIndex(size))
  const id = randomUUID()
  await fixture.store.checkpoints.insertCheckpoint({
    ...{ id, topic: identity.topic, partition: null, offset: null, createdBy: 'ada' },
    positions: [{ logId, partition: 0, offset: nextOffset, size, rootHash, note: null }],
  })
  return id
}

/** As the workflow does it, without the workflow. */
async function verified(request: VerificationRequest): Promise<VerificationRecord> {
  const { audit, verifications, queries: logs } = fixture.store
  const verificationId = randomUUID()
  const settings = { concurrency: 1, sliceMs: 60_000 }
  const deps = {
    ...{ audit, verifications, logs, verdict, now: Date.now },
    settings: settings as Parameters<typeof planVerification>[0]['settings'],
    observer: { leavesVerified: () => undefined, logVerified: () => undefined },
    logger: createLogger({ level: 'error', destination: { write: () => undefined } }),
  }
  const plan = { verificationId, workflowId: `verify-log/${verificationId}`, request, requestedBy: 'ada' }
  const scope = { signal: new AbortController().signal, report: () => undefined }
  for (const { logId } of (await planVerification(deps, plan)).logs)
    expect(await verifyLogSlice(deps, scope, { verificationId, logId, progress: null })).toHaveProperty(
      'done',
      true,
    )
  const record = await verifications.getVerification(verificationId)
  if (record === null) throw new Error('nothing was stored')
  return record
}

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    (error: unknown) => (error instanceof ServiceError ? error.code : String(error)),
  )

it('a log whose row alone was deleted is missed, whatever is left of it', async () => {
  const [checkpointed, bare, empty] = [
    await logOf(fixture.store, trueEvents(0n, 300n), 300n),
    await logOf(fixture.store, trueEvents(0n, 10n), 10n),
    await logOf(fixture.store, [], 0n),
  ]
  const checkpointId = await checkpoint(checkpointed)
  const all = async () => (await logsToVerify(fixture.store.queries, {})).map(({ logId }) => logId)
  const ids = [checkpointed, bare, empty].map(({ log }) => log.logId as number)
  expect(await all()).toEqual(ids)
  await damage('delete from partition_logs where id = $1', checkpointed)
  await damage('delete from partition_logs where id = $1', bare)
  expect(new Set(await all())).toEqual(new Set(ids))

  const { topic } = checkpointed.log.identity
  const whole = await verified({})
  expect(whole).toMatchObject({ parts: 3, partsDone: 3, damaged: 2 })
  expect(whole.verified).toMatchObject([
    {
      ...{ topic, partition: 0, incarnation: 0, verdict: 'damaged', found: { 'log-missing': '1' } },
      first: { checkpointId, detail: expect.stringContaining('checkpoint_positions, events, log_nodes') },
    },
    { topic: '?', partition: -1, first: { detail: `there is no log ${ids[1]}, and rows of events name it` } },
    { verdict: 'intact' },
  ])
  // Of the topic that its checkpoint names it is, and of no other.
  expect((await verified({ topic, partition: 0 })).damaged).toBe(1)
  expect(await codeOf(verified({ topic, partition: 1 }))).toBe('UNKNOWN_PARTITION')
  expect(await codeOf(verified({ topic, incarnation: 1 }))).toBe('UNKNOWN_PARTITION')
  expect(await codeOf(verified({ topic: bare.log.identity.topic }))).toBe('UNKNOWN_TOPIC')
  expect((await verified({ topic: empty.log.identity.topic })).damaged).toBe(0)
})

it('a position that was moved to a log that never was', async () => {
  const open = await logOf(fixture.store, trueEvents(0n, 300n), 300n)
  const checkpointId = await checkpoint(open)
  await damage('update checkpoint_positions set log_id = log_id + 100000 where log_id = $1', open)
  const { topic } = open.log.identity
  const { verified: parts } = await verified({ topic })
  expect(parts.map(({ verdict: of, first }) => [of, first?.kind, first?.checkpointId])).toEqual([
    ['damaged', 'log-missing', checkpointId],
    ['intact', undefined, undefined],
  ])
})

it.each([
  ['that is no frontier', `'\\x00'`, 10n, '1 bytes are none'],
  ['that is no frontier, of an empty log', `'\\x00'`, 0n, '1 bytes are none'],
  ['of another size', 'substr(frontier, 1, 32)', 10n, 'a frontier of 1 hashes'],
  ['that is gone, with more than 64 hashes', `decode(repeat('00', 32 * 65), 'hex')`, 10n, '2080 bytes'],
])('a frontier %s is a finding, and the verification ends', async (_, frontier, size, detail) => {
  const open = await logOf(fixture.store, trueEvents(0n, size), size)
  const check = 'alter table partition_logs drop constraint if exists partition_logs_frontier'
  await withClient(fixture.database.adminUrl, (client) => client.query(check))
  await damage(`update partition_logs set frontier = ${frontier} where id = $1`, open)
  const { verified: parts } = await verified({ topic: open.log.identity.topic })
  expect(parts).toMatchObject([
    { found: { frontier: '1' }, first: { kind: 'frontier', detail: expect.stringContaining(detail) } },
  ])
  // Also when the rows that would tell the tail are gone.
  if (size === 0n) return
  await damage('delete from events where log_id = $1 and leaf_index = 3', open)
  const [again] = (await verified({ topic: open.log.identity.topic })).verified
  expect(again?.found).toEqual({ missing: '1', frontier: '1' })
  await damage('delete from partition_logs where id = $1', open)
})

it('how far the log goes on behind its last row is told, and is no damage', async () => {
  const open = await logOf(fixture.store, trueEvents(0n, 300n), 300n)
  const { topic } = open.log.identity
  expect((await verified({ topic })).verified).toMatchObject([{ offsetsBehindLastRow: '0' }])
  // The application's role may do this: its next append begins behind records that nobody has read.
  await withClient(fixture.database.appUrl, (client) =>
    client.query('update partition_logs set next_offset = next_offset + 1000 where id = $1', [
      open.log.logId,
    ]),
  )
  const record = await verified({ topic })
  expect(record.verified).toMatchObject([{ verdict: 'intact', offsetsBehindLastRow: '1000' }])
  expect(formatVerification(viewOfVerification(record)).join('\n')).toContain(
    'the log goes on 1,000 offsets behind its last row',
  )
  open.position = { ...open.position, nextOffset: (open.position.nextOffset + 1_000n) as never }
  await appendTo(fixture.store, open, trueEvents(1_300n, 1_310n), 1_310n)
  expect((await verifyWhole(fixture.store, open)).findings.kept).toEqual([])
  expect((await verified({ topic })).verified).toMatchObject([{ offsetsBehindLastRow: '0' }])
})
