import { startStack } from '../../stack/servers.ts'
import { testEnvironment } from '../../stack/test-environment.ts'

/**
 * Real servers for every test: those named by the environment, else started here. `npm test` has started them
 * already and names them; this serves whoever runs vitest directly.
 */
export async function setup(): Promise<() => Promise<void>> {
  const stack = await startStack({ onProgress: (message) => process.stderr.write(`${message}\n`) })
  // Workers inherit the environment of this process.
  for (const [name, value] of Object.entries(await testEnvironment(stack))) process.env[name] ??= value
  return () => stack.stop()
}
