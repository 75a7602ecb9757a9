import { randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import type { VerificationVerdict } from '../../src/ports.ts'
import { useStore } from './fixture.ts'

const fixture = useStore('verifications')

async function verified(
  verdict: VerificationVerdict,
  fields: { readonly parts?: number; readonly kind?: 'log' | 'replay' } = {},
): Promise<void> {
  const { verifications } = fixture.store
  const id = randomUUID()
  const { parts = 1, kind = 'log' } = fields
  const about = { id, kind, workflowId: `verify-log/${id}`, request: {}, parts, total: 0n }
  await verifications.insertVerification({ ...about, createdBy: 'test' })
  await verifications.insertResult(id, verdict)
}

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
