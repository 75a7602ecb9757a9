import { runCommand } from '../../stack/command.ts'
import { projectRoot } from '../../stack/paths.ts'

const limitMs = 60_000

/** `pnpm log …` as an operator types it. @throws with what it said when it failed */
export async function runLogCommand(apiUrl: string, words: readonly string[]): Promise<string> {
  const args = ['--import', 'tsx', 'src/cli/main.ts', 'log', ...words]
  const env = { ...process.env, API_URL: apiUrl, NO_COLOR: '1' }
  const { ok, stdout, output } = await runCommand(process.execPath, args, { limitMs, cwd: projectRoot, env })
  if (!ok) throw new Error(`pnpm log ${words.join(' ')} failed:\n${output}`)
  return stdout
}
