import type { LogLevel as TemporalLevel } from '@temporalio/common'
import { Runtime, type Logger as TemporalLogger } from '@temporalio/worker'
import type { LogFields, Logger } from '../logger.ts'

let installed = false

/**
 * Temporal's native runtime, once per process, before any worker or native connection. What it logs goes to `logger`;
 * signals are left to the process itself.
 */
export function installRuntime(logger: Logger): void {
  if (installed) return
  installed = true
  Runtime.install({
    logger: forwardTo(logger.child({ part: 'temporal' })),
    shutdownSignals: [],
    telemetryOptions: { logging: { filter: { core: 'WARN', other: 'ERROR' }, forward: {} } },
  })
}

function forwardTo(logger: Logger): TemporalLogger {
  const write: Record<TemporalLevel, (message: string, fields?: LogFields) => void> = {
    TRACE: logger.debug,
    DEBUG: logger.debug,
    // The SDK's accounts of starting and stopping: ours are said in our own words.
    INFO: logger.debug,
    WARN: logger.warn,
    ERROR: logger.error,
  }
  return {
    log: (level, message, meta) => write[level](message, meta),
    trace: (message, meta) => write.TRACE(message, meta),
    debug: (message, meta) => write.DEBUG(message, meta),
    info: (message, meta) => write.INFO(message, meta),
    warn: (message, meta) => write.WARN(message, meta),
    error: (message, meta) => write.ERROR(message, meta),
  }
}
