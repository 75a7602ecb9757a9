/** Real servers for every test: those named by the environment, else started by the stack. */
export async function setup(): Promise<void> {
  for (const name of ['KAFKA_BROKERS', 'DATABASE_ADMIN_URL', 'TEMPORAL_ADDRESS']) {
    if (process.env[name] === undefined) throw new Error(`${name} is not set`)
  }
}
