import { expect, it } from 'vitest'
import { formatVerification, verdictFailure } from '../../src/cli/evidence/verifications.ts'
import type { VerificationView, VerifiedPart } from '../../src/domain/verification/view.ts'

const part = (partition: number, fields: Partial<VerifiedPart> = {}): VerifiedPart => ({
  topic: 'events',
  partition,
  incarnation: 1,
  verdict: 'intact',
  checked: '0',
  counts: { events: '0', deadLetters: '0' },
  rootHash: 'ab'.repeat(32),
  found: {},
  findings: [],
  ...fields,
})

const viewOf = (parts: readonly VerifiedPart[]): VerificationView => {
  const damaged = parts.filter(({ verdict }) => verdict === 'damaged').length
  return {
    id: 'v-1',
    workflowId: 'verify-log/v-1',
    kind: 'log',
    status: damaged === 0 ? 'intact' : 'damaged',
    request: {},
    createdAt: '2026-11-01T00:00:00.000Z',
    createdBy: 'somebody',
    progress: { parts: parts.length, partsDone: parts.length, checked: '0', total: '0' },
    damaged,
    parts,
  }
}

it('a verdict says of how many logs it is true', () => {
  expect(formatVerification(viewOf([part(0), part(1)]))[0]).toBe('intact: 2 of 2 logs, verification v-1')
  const one = part(0, { verdict: 'damaged', found: { 'altered-column': '1' } })
  expect(formatVerification(viewOf([one, part(1), part(2)]))[0]).toBe(
    'damaged: 1 of 3 logs, verification v-1',
  )
})

it('counts stand behind what was checked, where there are some', () => {
  const full = part(1, { checked: '1200', counts: { events: '1199', deadLetters: '1', gaps: '0' } })
  expect(formatVerification(viewOf([part(0), full])).slice(1)).toEqual([
    `  events/0, incarnation 1: intact, 0 checked, root ${'ab'.repeat(32)}`,
    `  events/1, incarnation 1: intact, 1,200 checked (1,199 events, 1 deadLetters), root ${'ab'.repeat(32)}`,
  ])
})

it('nothing that was looked at is no success', () => {
  const none = viewOf([])
  expect(verdictFailure(none)).toMatchObject({ exitCode: 1, code: 'NOT_VERIFIED' })
  expect(formatVerification(none)).toEqual(['nothing verified: there is no log, verification v-1'])
  expect(verdictFailure(viewOf([part(0)]))).toBe(null)
  expect(verdictFailure(viewOf([part(0, { verdict: 'damaged' })]))).toMatchObject({ code: 'LOG_DAMAGED' })
})
