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

/** Aborted by the first Ctrl-C or SIGTERM: the command comes to an end. A second one ends the process at once. */
export function abortOnSignals(): AbortSignal {
  const interrupted = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupted.abort())
  return interrupted.signal
}
