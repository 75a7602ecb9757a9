import { randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import { logId } from '../../src/domain/model.ts'
import type { VerifiedPart } from '../../src/domain/verification/view.ts'
import type { VerificationVerdict } from '../../src/ports.ts'
import { useStore } from './fixture.ts'

const fixture = useStore('verifications')

async function verified(
  verdict: VerificationVerdict,
  fields: {
    readonly parts?: number
    readonly kind?: 'log' | 'replay'
    /** Verdicts about logs, by their ids. */
    readonly logs?: Readonly<Record<number, 'intact' | 'damaged'>>
  } = {},
): Promise<void> {
  const { verifications } = fixture.store
  const id = randomUUID()
  const { parts = 1, kind = 'log', logs = {} } = fields
  const about = { id, kind, workflowId: `verify-log/${id}`, request: {}, parts, total: 0n }
  await verifications.insertVerification({ ...about, createdBy: 'test' })
  for (const [log, of] of Object.entries(logs))
    await verifications.insertPart(id, logId(Number(log)), partOf(of))
  await verifications.insertResult(id, verdict)
}

const partOf = (verdict: 'intact' | 'damaged'): VerifiedPart => ({
  ...{ topic: 'events', partition: 0, incarnation: 1, verdict, checked: '1', rootHash: '' },
  ...{ counts: {}, found: {}, findings: [] },
})

it('the last verdict is that of the newest verification of logs that looked at some', async () => {
  const { verifications } = fixture.store
  await verified('intact', { parts: 0 })
  expect(await verifications.lastFinished()).toBe(null)
  await verified('damaged')
  for (const [verdict, fields] of [
    ['intact', { parts: 0 }],
    ['intact', { kind: 'replay' }],
    ['failed', {}],
    ['cancelled', {}],
  ] as const)
    await verified(verdict, fields)
  expect(await verifications.lastFinished()).toMatchObject({ damaged: true })
  await verified('intact')
  expect(await verifications.lastFinished()).toMatchObject({ damaged: false })
})

it('a log is damaged until it is found intact, whatever becomes of others meanwhile', async () => {
  const { verifications } = fixture.store
  const damagedLogs = async () => (await verifications.lastFinished())?.damagedLogs
  await verified('damaged', { logs: { 1: 'intact', 2: 'damaged', 5: 'damaged' } })
  expect(await damagedLogs()).toBe(2)
  await verified('intact', { logs: { 1: 'intact', 9: 'intact' } })
  await verified('damaged', { kind: 'replay', logs: { 1: 'damaged', 2: 'intact' } })
  expect(await verifications.lastFinished()).toMatchObject({ damaged: false, damagedLogs: 2 })
  await verified('intact', { logs: { 2: 'intact' } })
  expect(await damagedLogs()).toBe(1)
  await verified('damaged', { logs: { 9: 'damaged' } })
  expect(await damagedLogs()).toBe(2)
})
