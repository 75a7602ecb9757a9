import { ServiceError } from '../errors.ts'

/**
 * The outcome of `work`, or TIMEOUT after `timeoutMs`. The work itself is not stopped, so it must be bounded as well;
 * this keeps a caller from waiting for it.
 */
export async function within<T>(timeoutMs: number, work: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    const detail = `No outcome within ${Math.round(timeoutMs / 1_000)} s`
    timer = setTimeout(() => reject(new ServiceError('TIMEOUT', detail)), timeoutMs)
  })
  try {
    return await Promise.race([work(), late])
  } finally {
    clearTimeout(timer)
  }
}
