import { describe, expect, it } from 'vitest'
import { until, type Waiting } from '../../bench/faults/waiting.ts'

const waiting = (changed: Partial<Waiting> = {}): Waiting => ({
  what: 'the answer',
  limitMs: 30_000,
  everyMs: 1,
  signal: new AbortController().signal,
  ...changed,
})

describe('until', () => {
  it('asks until there is an answer, falsy ones included', async () => {
    let asked = 0
    expect(await until(() => (++asked < 3 ? null : 0), waiting())).toBe(0)
    expect(asked).toBe(3)
  })

  it('fails after its limit, and explains', async () => {
    const late = until(() => null, waiting({ limitMs: 20, explain: () => '3 of 5 are there' }))
    await expect(late).rejects.toThrow('waiting for the answer: not within 0.02 s\n3 of 5 are there')
  })

  it('fails at once when going on is pointless, and with what the question throws', async () => {
    const check = (): void => {
      throw new Error('the role ended')
    }
    await expect(until(() => null, waiting({ check }))).rejects.toThrow('the role ended')
    await expect(until(() => Promise.reject(new Error('no such table')), waiting())).rejects.toThrow(
      'no such',
    )
  })

  it('ends with its signal, also while a question hangs', async () => {
    const asked = new AbortController()
    const hanging = until(() => new Promise<number>(() => undefined), waiting({ signal: asked.signal }))
    setTimeout(() => asked.abort(new Error('stop')), 10)
    await expect(hanging).rejects.toThrow('stop')
  })

  it('asks again when a question hangs', async () => {
    let asked = 0
    const hangsOnce = (): Promise<number> =>
      ++asked === 1 ? new Promise(() => undefined) : Promise.resolve(asked)
    expect(await until(hangsOnce, waiting())).toBe(2)
  })
})
