import { Client, Connection } from '@temporalio/client'

/** Runs `work` with a client of its own, which reaches Temporal directly. */
export async function withTemporal<T>(address: string, work: (client: Client) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address, connectTimeout: '10 s' })
  try {
    return await work(new Client({ connection }))
  } finally {
    await connection.close()
  }
}
