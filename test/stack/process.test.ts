import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { exclusively } from '../../stack/lock.ts'
import { freePorts, lastingPorts } from '../../stack/ports.ts'
import { identify, isAlive, startOf, stopProcess } from '../../stack/process.ts'
import { temporaryDirectory } from './temporary.ts'

const started: ChildProcess[] = []
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL')
})

async function run(script: string): Promise<{ child: ChildProcess; pid: number }> {
  const child = spawn(process.execPath, ['-e', `${script}; console.log('ready')`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  started.push(child)
  if (child.stdout !== null) await once(child.stdout, 'data')
  return { child, pid: child.pid ?? 0 }
}
const forever = 'setInterval(() => undefined, 1000)'

describe('a recorded process', () => {
  it('is alive only as itself: a pid that another process has by now is not it', async () => {
    const { pid } = await run(forever)
    const id = identify(pid)
    expect(id).not.toBeNull()
    expect(id !== null && isAlive(id)).toBe(true)
    expect(isAlive({ pid, started: 'some other boot/1' })).toBe(false)
  })

  it('is left alone when only the pid is the same', async () => {
    const { pid, child } = await run(forever)
    await stopProcess({ pid, started: 'some other boot/1' }, 'SIGKILL', 1_000)
    expect(child.exitCode).toBeNull()
    expect(startOf(pid)).not.toBeNull()
  })

  it('is killed when it ignores the gentle signal for too long', async () => {
    const { pid, child } = await run(`process.on('SIGTERM', () => undefined); ${forever}`)
    const id = identify(pid)
    if (id === null) throw new Error('the process is not there')
    const ended = once(child, 'exit')
    await stopProcess(id, 'SIGTERM', 100)
    expect(await ended).toEqual([null, 'SIGKILL'])
    expect(isAlive(id)).toBe(false)
  })

  it('that is gone already needs no stopping', async () => {
    const { pid, child } = await run(forever)
    const id = identify(pid)
    if (id === null) throw new Error('the process is not there')
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
    await stopProcess(id, 'SIGTERM', 1_000)
    expect(startOf(pid)).toBeNull()
  })
})

describe('the lock of a stack directory', () => {
  it('lets one after the other in, and lets go when the work fails', async () => {
    const directory = temporaryDirectory()
    const order: string[] = []
    const release = Promise.withResolvers<void>()
    const first = exclusively(directory, async () => {
      order.push('first in')
      await release.promise
      order.push('first out')
      throw new Error('failed')
    })
    const second = exclusively(directory, async () => order.push('second in'))
    release.resolve()
    await expect(first).rejects.toThrow('failed')
    await second
    expect(order).toEqual(['first in', 'first out', 'second in'])
  })

  it('is free again when its holder was killed', async () => {
    const directory = temporaryDirectory()
    const lock = new URL('../../stack/lock.ts', import.meta.url).href
    const held = `await exclusively(${JSON.stringify(directory)}, async () => { console.log('ready'); await new Promise(() => setInterval(() => undefined, 1000)) })`
    const child = spawn(
      process.execPath,
      ['--input-type=module', '-e', `import { exclusively } from '${lock}'; ${held}`],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    )
    started.push(child)
    if (child.stdout !== null) await once(child.stdout, 'data')
    const waiting = exclusively(directory, async () => 'mine')
    child.kill('SIGKILL')
    expect(await waiting).toBe('mine')
  })
})

describe('free ports', () => {
  it('are all different', async () => {
    const ports = await freePorts(20)
    expect(new Set(ports).size).toBe(20)
  })

  it('are the wanted ones unless somebody has them', async () => {
    const [port = 0] = await lastingPorts(1)
    expect(await freePorts(1, [port])).toEqual([port])
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(port, '127.0.0.1', resolve))
    const [other = 0] = await freePorts(1, [port])
    taken.close()
    expect(other).not.toBe(port)
    expect(other).toBeGreaterThan(0)
  })
})
