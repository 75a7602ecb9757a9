/** A development server of a test's own, which it may stop, start again and configure. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { Connection } from '@temporalio/client'
import { lastingPorts } from '../../stack/ports.ts'

export interface OwnTemporal {
  readonly address: string
  start(): Promise<void>
  /** kill -9: what it has not written is gone. */
  kill(): Promise<void>
}

export async function ownTemporal(
  executable: string,
  databaseFile: string,
  dynamicConfig: Readonly<Record<string, string>> = {},
): Promise<OwnTemporal> {
  const [port = 0] = await lastingPorts(1)
  const address = `127.0.0.1:${port}`
  const config = Object.entries(dynamicConfig).flatMap(([key, value]) => [
    '--dynamic-config-value',
    `${key}=${value}`,
  ])
  let child: ChildProcess | null = null
  return {
    address,
    async start() {
      const args = ['server', 'start-dev', '--headless', '--ip', '127.0.0.1', '--port', String(port)]
      child = spawn(executable, [...args, '--db-filename', databaseFile, ...config], { stdio: 'ignore' })
      await untilServing(address, child)
    },
    async kill() {
      if (child === null) return
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
      child = null
    },
  }
}

const START_MS = 60_000

async function untilServing(address: string, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + START_MS
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the Temporal server ended with ${child.exitCode}`)
    try {
      return await ask(address)
    } catch (error) {
      if (performance.now() > deadline) throw error
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }
}

async function ask(address: string): Promise<void> {
  const connection = await Connection.connect({ address, connectTimeout: '2s' })
  try {
    await connection.withDeadline(Date.now() + 2_000, () =>
      connection.workflowService.describeNamespace({ namespace: 'default' }),
    )
  } finally {
    await connection.close()
  }
}
