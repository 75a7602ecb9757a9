import { pause } from './deadline.ts'
import { faultFrom, KafkaFault } from './faults.ts'

const firstWaitMs = 2
const longestWaitMs = 50

/**
 * Sends a request again while the broker answers one of `codes`, which all say that nothing was done yet; short waits,
 * until `signal` aborts. Anything else, lost answers first of all, goes straight to the caller.
 */
export async function untilSettled<T>(
  codes: readonly number[],
  signal: AbortSignal,
  request: () => Promise<T>,
): Promise<T> {
  for (let waitMs = firstWaitMs; ; waitMs = Math.min(2 * waitMs, longestWaitMs)) {
    try {
      return await request()
    } catch (error) {
      const fault = faultFrom(error)
      if (fault.kafkaCode === null || !codes.includes(fault.kafkaCode)) throw fault
    }
    await pause(waitMs, signal)
    if (signal.aborted) throw new KafkaFault('cancelled')
  }
}
