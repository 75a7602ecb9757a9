import { type ChildProcess, spawn } from 'node:child_process'
import { typescriptArguments } from './migrate.ts'
import { projectRoot } from './paths.ts'

/** One process that can be ended and replaced; what `dev` reloads. */
export interface Reloadable {
  /** Ends the running process, waits for it, and starts the next. Calls during that time are one call. */
  restart(): Promise<void>
  stop(): Promise<void>
}

export interface ReloadableOptions {
  readonly file: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  /** From SIGTERM to SIGKILL. */
  readonly graceMs: number
  /** It ended by itself; it starts again with the next `restart`. */
  readonly onEnd: (how: string) => void
}

/** As `pnpm start` and the image do (docs/design.md §4, "Memory"). */
export const youngGeneration = '--max-semi-space-size=8'

/** Starts the file at once, in a process group of its own: Ctrl-C in the terminal reaches it through `stop` only. */
export function startReloadable(options: ReloadableOptions): Reloadable {
  let child: ChildProcess | undefined
  let stopped = false
  let restarting: Promise<void> | undefined

  const start = (): void => {
    const next = spawn(
      process.execPath,
      [youngGeneration, ...typescriptArguments(options.file, options.args)],
      {
        cwd: projectRoot,
        env: options.env,
        stdio: ['ignore', 'inherit', 'inherit'],
        detached: true,
      },
    )
    child = next
    const ended = (how: string): void => {
      if (child !== next) return
      child = undefined
      options.onEnd(how)
    }
    next.once('error', (error) => ended(error.message))
    next.once('exit', (code, signal) => ended(signal ?? `exit code ${code}`))
  }

  const end = async (): Promise<void> => {
    const current = child
    child = undefined
    if (current === undefined) return
    const exited = new Promise<void>((resolve) => current.once('exit', () => resolve()))
    current.kill('SIGTERM')
    const timer = setTimeout(() => current.kill('SIGKILL'), options.graceMs)
    await exited
    clearTimeout(timer)
  }

  start()
  return {
    restart() {
      restarting ??= end().then(() => {
        restarting = undefined
        if (!stopped) start()
      })
      return restarting
    },
    async stop() {
      stopped = true
      await restarting
      await end()
    },
  }
}
