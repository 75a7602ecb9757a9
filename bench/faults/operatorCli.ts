import { runCommand } from '../../stack/command.ts'
import { projectRoot } from '../../stack/paths.ts'

const limitMs = 60_000
/** A command that follows a replay to its end. */
const followLimitMs = 180_000

/** `pnpm log …` as an operator types it. @throws with what it said when it failed */
export const runLogCommand = (apiUrl: string, words: readonly string[]): Promise<string> =>
  run(apiUrl, `pnpm log ${words.join(' ')}`, ['log', ...words], limitMs)

/** `pnpm replay …` as an operator types it. @throws with what it said when it failed */
export const runReplayCommand = (apiUrl: string, words: readonly string[]): Promise<string> =>
  run(apiUrl, `pnpm replay ${words.join(' ')}`, words, followLimitMs)

async function run(
  apiUrl: string,
  typed: string,
  words: readonly string[],
  commandLimitMs: number,
): Promise<string> {
  const args = ['--import', 'tsx', 'src/cli/main.ts', ...words]
  const env = { ...process.env, API_URL: apiUrl, NO_COLOR: '1' }
  const options = { limitMs: commandLimitMs, cwd: projectRoot, env }
  const { ok, stdout, output } = await runCommand(process.execPath, args, options)
  if (!ok) throw new Error(`${typed} failed:\n${output}`)
  return stdout
}
