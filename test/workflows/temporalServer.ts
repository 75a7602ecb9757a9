/** A development server of a test's own, which it may stop, start again and configure. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { Connection } from '@temporalio/client'

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
  const port = await freePort()
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
      await untilServing(address)
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

async function untilServing(address: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      const connection = await Connection.connect({ address, connectTimeout: '2s' })
      await connection.workflowService.describeNamespace({ namespace: 'default' })
      return await connection.close()
    } catch (error) {
      if (attempt >= 30) throw error
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
