/** `pnpm archive` as its own process. */
import { spawn } from 'node:child_process'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'

const entry = fileURLToPath(new URL('../../src/recovery/main.ts', import.meta.url))

export interface Started {
  readonly kill: (signal: NodeJS.Signals) => boolean
  readonly ended: Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>
}

export function start(args: readonly string[], env: Readonly<Record<string, string>>): Started {
  const child = spawn(process.execPath, [entry, ...args], { env, cwd: tmpdir() })
  const said = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const)
    child[name].on('data', (chunk: Buffer) => {
      said[name] += chunk.toString('utf8')
    })
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  return { kill: (signal) => child.kill(signal), ended: ended.then((code) => ({ code, ...said })) }
}
