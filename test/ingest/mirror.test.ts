import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { offset } from '../../src/domain/model.ts'
import { GroupOffsetMirror } from '../../src/ingest/mirror.ts'
import { createLogger } from '../../src/logger.ts'

const log = createLogger({ level: 'error' })

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

/** A mirror of whose commits each takes what `answers` says next, and what it has asked for. */
function mirrorOf(...answers: readonly (() => Promise<void>)[]) {
  const asked: bigint[] = []
  const mirror = new GroupOffsetMirror((next) => {
    asked.push(next)
    return answers[asked.length - 1]?.() ?? Promise.resolve()
  }, log)
  return { mirror, asked }
}

const refused = (): Promise<void> => Promise.reject(new Error('the group is being shared out'))

it('tries a commit that failed again, also when nothing follows', async () => {
  const { mirror, asked } = mirrorOf(refused, refused)
  mirror.moveTo(offset(5n))
  await vi.advanceTimersByTimeAsync(500)
  expect(asked).toEqual([5n])
  await vi.advanceTimersByTimeAsync(1_000)
  expect(asked).toEqual([5n, 5n])
  await vi.advanceTimersByTimeAsync(60_000)
  expect(asked).toEqual([5n, 5n, 5n])
})

it('does not go back to what failed when it was told something newer', async () => {
  const late = Promise.withResolvers<void>()
  const { mirror, asked } = mirrorOf(() => late.promise)
  mirror.moveTo(offset(5n))
  await vi.advanceTimersByTimeAsync(500)
  mirror.moveTo(offset(9n))
  await vi.advanceTimersByTimeAsync(500)
  late.reject(new Error('no answer'))
  await vi.advanceTimersByTimeAsync(60_000)
  expect(asked).toEqual([5n, 9n])
})

it('commits the last one when it is closed, and nothing afterwards', async () => {
  const { mirror, asked } = mirrorOf(refused, refused)
  mirror.moveTo(offset(5n))
  await vi.advanceTimersByTimeAsync(500)
  await mirror.close()
  expect(asked).toEqual([5n, 5n])
  await vi.advanceTimersByTimeAsync(60_000)
  expect(asked).toEqual([5n, 5n])
})

it('closes in time when a commit gets no answer', async () => {
  const { mirror } = mirrorOf(() => new Promise(() => undefined))
  mirror.moveTo(offset(5n))
  let closed = false
  void mirror.close().then(() => {
    closed = true
  })
  await vi.advanceTimersByTimeAsync(2_000)
  expect(closed).toBe(true)
})

it('stays where the group is ahead until that is reached', async () => {
  const { mirror, asked } = mirrorOf()
  mirror.startAt(offset(9n))
  mirror.moveTo(offset(5n))
  await vi.advanceTimersByTimeAsync(60_000)
  expect(asked).toEqual([])
  mirror.moveTo(offset(9n))
  await vi.advanceTimersByTimeAsync(500)
  mirror.startAt(null)
  mirror.moveTo(offset(3n))
  await vi.advanceTimersByTimeAsync(500)
  expect(asked).toEqual([9n, 3n])
})

it('forgets what somebody else will tell', async () => {
  const { mirror, asked } = mirrorOf(refused)
  mirror.moveTo(offset(5n))
  await vi.advanceTimersByTimeAsync(500)
  mirror.forget()
  await vi.advanceTimersByTimeAsync(60_000)
  expect(asked).toEqual([5n])
})
