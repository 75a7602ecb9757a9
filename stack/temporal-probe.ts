import { probeLimitMs } from './command.ts'

/** Resolves when the server serves its default namespace; rejects after ten seconds at the latest. */
export async function checkTemporal(address: string): Promise<void> {
  // Loaded when needed: the client takes half a second to load, and most commands never ask.
  const { Connection } = await import('@temporalio/client')
  const connection = await Connection.connect({ address, connectTimeout: probeLimitMs })
  try {
    await connection.withDeadline(Date.now() + probeLimitMs, () =>
      connection.workflowService.describeNamespace({ namespace: 'default' }),
    )
  } finally {
    await connection.close()
  }
}
