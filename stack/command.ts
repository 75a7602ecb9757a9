import { execFile } from 'node:child_process'
import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'

export interface CommandResult {
  readonly ok: boolean
  readonly stdout: string
  /** Both streams as they came, for an error message. */
  readonly output: string
}

/** No probe may take longer than this. */
export const probeLimitMs = 10_000

/** Runs a program to its end within the limit; a failure, a time-out and a missing program are all `ok: false`. */
export function runCommand(
  command: string,
  args: readonly string[],
  options: { limitMs?: number; cwd?: string; env?: NodeJS.ProcessEnv; uid?: number; gid?: number } = {},
): Promise<CommandResult> {
  const { limitMs = probeLimitMs, ...rest } = options
  return new Promise((resolve) => {
    const settings = { ...rest, encoding: 'utf8', timeout: limitMs, maxBuffer: 64 * 1024 * 1024 } as const
    execFile(command, args, { ...settings, killSignal: 'SIGKILL' }, (error, stdout, stderr) => {
      const late = error?.killed === true ? `\nended after ${limitMs / 1000} s` : ''
      const missing = error?.code === 'ENOENT' ? `${command} was not found` : ''
      resolve({ ok: error === null, stdout, output: `${stdout}${stderr}${late}${missing}`.trim() })
    })
  })
}

/** Full path of an executable found on PATH, or in one of the folders given after it; null when there is none. */
export function findExecutable(name: string, extraFolders: readonly string[] = []): string | null {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...extraFolders]
  for (const folder of folders) {
    if (folder === '') continue
    const path = join(folder, name)
    if (isExecutable(path)) return path
  }
  return null
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}
