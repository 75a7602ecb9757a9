/** A real C2SP witness that nobody here wrote: litewitness, with its key in an ssh-agent, on loopback. */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { promisify } from 'node:util'
import { emptyRoot } from '../../src/domain/merkle.ts'
import { lastingPorts } from '../../stack/ports.ts'
import { buildGoTool, type GoTool, goToolMissing } from './goTools.ts'
import { until } from './platform.ts'

export const litewitness: GoTool = {
  folder: join(import.meta.dirname, 'witness'),
  name: 'litewitness',
  path: 'filippo.io/torchwood/cmd/litewitness',
}
const run = promisify(execFile)

export interface Witness {
  readonly url: string
  readonly name: string
  /** As the witness itself says it. */
  readonly verifierKey: string
  /** It cosigns only logs that it was told of. */
  knowLog(origin: string, verifierKeys: readonly string[]): Promise<void>
  close(): Promise<void>
}

/** Why there cannot be one here, for a person; null when there can. */
export function witnessMissing(): string | null {
  const agent = spawnSync('ssh-keygen', ['-?'])
  return agent.error === undefined ? goToolMissing(litewitness) : 'there is no OpenSSH client'
}

/** Builds it when needed, which takes minutes once, and starts it. */
export async function startWitness(name = 'witness.example/w1'): Promise<Witness> {
  const witness = await buildGoTool(litewitness)
  const folder = mkdtempSync(join(tmpdir(), 'test-w-'))
  const [socket, key, db] = ['agent', 'key', 'db'].map((file) => join(folder, file)) as [
    string,
    string,
    string,
  ]
  const children: ChildProcess[] = []
  const close = async (): Promise<void> => {
    for (const child of children.reverse()) await end(child)
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    children.push(spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' }))
    await until(
      () => existsSync(socket),
      10_000,
      () => 'the ssh-agent does not listen',
    )
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
    await run('ssh-add', ['-q', key], { env: { PATH: process.env['PATH'], SSH_AUTH_SOCK: socket } })
    const { stdout } = await run('ssh-keygen', ['-l', '-f', `${key}.pub`])
    const [, fingerprint = ''] = stdout.split(' ')
    const [port = 0] = await lastingPorts(1)
    const listen = `127.0.0.1:${port}`
    const flags = ['-name', name, '-db', db, '-ssh-agent', socket, '-key', fingerprint, '-listen', listen]
    const child = spawn(witness, flags, { stdio: ['ignore', 'ignore', 'pipe'] })
    children.push(child)
    let said = ''
    child.stderr.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString('utf8')).slice(-20_000)
    })
    const verifierKey = await until(
      () => {
        if (child.exitCode !== null) throw new Error(`litewitness ended with ${child.exitCode}:\n${said}`)
        return / vkey="?([^\s"]+)/.exec(said)?.[1]
      },
      20_000,
      () => said,
    )
    const url = `http://${listen}`
    await until(
      () =>
        fetch(url).then(
          () => true,
          () => false,
        ),
      20_000,
      () => said,
    )
    return {
      url,
      name,
      verifierKey,
      async knowLog(origin, verifierKeys) {
        // What its own control program does, which does not build: a module that it needs cannot be had.
        const file = new DatabaseSync(db, { timeout: 5_000 })
        const root = Buffer.from(emptyRoot, 'latin1').toString('base64')
        file.prepare('insert into log (origin, tree_size, tree_hash) values (?, 0, ?)').run(origin, root)
        for (const text of verifierKeys)
          file.prepare('insert into key (origin, key) values (?, ?)').run(origin, text)
        file.close()
      },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}
