import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { producerRate } from '../../bench/limits/javaProducer.ts'
import { cpuSeconds, measureCpu, parseStat, peakMemory, resetPeakMemory } from '../../bench/run/cpu.ts'

describe.skipIf(process.platform !== 'linux')('CPU time', () => {
  it('is read behind the name of the command, whatever that is', () => {
    const stat = '42 (a) b (c) S 7 42 42 0 -1 4194560 100 0 0 0 250 50 30 20 20 0 1 0 1000 0 0'
    expect(parseStat(stat)).toEqual({ parent: 7, own: 3, reaped: 0.5 })
  })

  it('counts children, those that have ended too', () => {
    const measure = measureCpu({ self: process.pid, nobody: 2 ** 22 + 1, unknown: undefined })
    execFileSync(process.execPath, ['-e', 'while (process.cpuUsage().user < 300_000);'])
    const { self, nobody, unknown } = measure(1_000)
    expect(self).toBeGreaterThan(50)
    expect([nobody, unknown]).toEqual([null, null])
  })

  it('has no figure for a process that is gone', async () => {
    const child = spawn(process.execPath, ['-e', ''])
    await once(child, 'exit')
    expect(cpuSeconds(child.pid)).toBe(null)
    expect(peakMemory(child.pid ?? 0)).toBe(null)
  })

  it('forgets an earlier peak of memory', () => {
    const before = peakMemory(process.pid) ?? 0
    expect(before).toBeGreaterThan(1 << 20)
    let large: Buffer | null = Buffer.alloc(256 << 20, 1)
    expect(peakMemory(process.pid)).toBeGreaterThan(large.length)
    large = null
    globalThis.gc?.()
    resetPeakMemory(process.pid)
    expect(peakMemory(process.pid)).toBeGreaterThan(1 << 20)
  })
})

describe("the rate of Kafka's producer", () => {
  it('is the last one that the tool prints', () => {
    const output = `250000 records sent, 49990.0 records/sec (17.64 MB/sec), 3.1 ms avg latency, 401.0 ms max latency.
1000000 records sent, 83402.8 records/sec (29.43 MB/sec), 2.2 ms avg latency, 401.00 ms max latency, 1 ms 50th.`
    expect(producerRate(output)).toBe(83_402.8)
  })

  it('is none where it printed none', () => {
    expect(producerRate('Exception in thread "main"')).toBe(null)
  })
})
