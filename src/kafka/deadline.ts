import { setTimeout as sleep } from 'node:timers/promises'
import { KafkaFault } from './faults.ts'

/** Without a reason `abort` makes a DOMException each time, which costs more than all else here. */
const over = new KafkaFault('the call is over')

/**
 * Runs `work` for at most `limitMs` and until `signal` aborts. Past that it throws a KafkaFault at once, whatever the work
 * does; `work` gets a signal that says so.
 */
export async function within<T>(
  limitMs: number,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  if (signal?.aborted === true) throw new KafkaFault('cancelled')
  const ended = new AbortController()
  let stop: (fault: KafkaFault) => void = () => undefined
  const stopped = new Promise<never>((_, reject) => {
    stop = (fault) => {
      ended.abort(fault)
      reject(fault)
    }
  })
  const timer = setTimeout(
    () => stop(new KafkaFault(`no answer within ${limitMs} ms`, { connection: true })),
    limitMs,
  )
  const cancel = () => stop(new KafkaFault('cancelled'))
  signal?.addEventListener('abort', cancel, { once: true })
  const working = work(ended.signal)
  // After the limit nobody waits for the work any more; its own failure is then no news.
  working.catch(() => undefined)
  stopped.catch(() => undefined)
  try {
    return await Promise.race([working, stopped])
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', cancel)
    ended.abort(over)
  }
}

/** Waits; returns early, without an error, when `signal` aborts. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, signal === undefined ? undefined : { signal })
  } catch (error) {
    if (signal?.aborted !== true) throw error
  }
}
