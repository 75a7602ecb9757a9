/** Aborts with the first signal that asks to stop; the ones after it (npm sends its own) change nothing. */
export function untilAsked(): AbortSignal {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (!controller.signal.aborted) process.stderr.write('\nstopping …\n')
      controller.abort()
    })
  }
  return controller.signal
}
