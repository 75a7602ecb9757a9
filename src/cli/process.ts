import { userInfo } from 'node:os'

/** Who asks, for the record of actions. */
export function systemUser(): string {
  try {
    return userInfo().username
  } catch {
    // A user id without a name, as containers have.
    return `uid-${process.getuid?.() ?? 'unknown'}`
  }
}

/** Whoever reads what a command prints may go before its end, as `head` does: that ends it in order. */
export function endWithReaders(): void {
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0)
      throw error
    })
}

/** For what cannot be broken off, such as a call to a disk that hangs: it would keep the process. */
const LONGEST_END_MS = 8_000

/**
 * Aborted by the first Ctrl-C or SIGTERM: the command comes to an end, and the process with it in any case. A second one ends the
 * process at once.
 */
export function abortOnSignals(): AbortSignal {
  const interrupted = new AbortController()
  const interrupt = (): void => {
    interrupted.abort()
    setTimeout(() => process.exit(process.exitCode ?? 1), LONGEST_END_MS).unref()
  }
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, interrupt)
  return interrupted.signal
}
