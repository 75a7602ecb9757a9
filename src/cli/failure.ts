import type { FieldProblem } from '../errors.ts'

/** What ends a command without success: one line that says what to do, and how the process exits. */
export class CliFailure extends Error {
  /** 2: bad input; 1: anything else. */
  readonly exitCode: 1 | 2
  readonly code: string
  readonly fields: readonly FieldProblem[]

  constructor(exitCode: 1 | 2, code: string, line: string, fields: readonly FieldProblem[] = []) {
    super(line)
    this.name = 'CliFailure'
    this.exitCode = exitCode
    this.code = code
    this.fields = fields
  }
}

/** Of a command that was ended by a signal before it had done what it was asked for; `goesOn`: what the service does still. */
export const interruptedFailure = (goesOn?: string): CliFailure =>
  new CliFailure(1, 'INTERRUPTED', goesOn === undefined ? 'interrupted' : `interrupted: ${goesOn}`)

/** Throws it again; where a command that only watches was ended by a signal, with what goes on. */
export function watchEnded(error: unknown, goesOn: string): never {
  throw error instanceof CliFailure && error.code === 'INTERRUPTED' ? interruptedFailure(goesOn) : error
}

/** Fields of requests and the flags that set them. */
const flags: Readonly<Record<string, string>> = {
  topic: '--topic',
  targetTopic: '--target-topic',
  checkpointId: '--checkpoint-id',
  partition: '--partition',
  offset: '--offset',
  fromOffset: '--from-offset',
  toOffset: '--to-offset',
  reason: '--reason',
  incarnation: '--incarnation',
  everyMinutes: '--every-minutes',
  fromLeaf: '--from-leaf',
  notes: '--notes',
  place: 'the place',
  toLeaf: '--to-leaf',
  tenantId: '--tenant-id',
  everySeconds: '--every-seconds',
  everyEvents: '--every-events',
  lookEverySeconds: '--look-every-seconds',
  checkpoint: '--checkpoint',
  from: '--from',
  source: '--source',
  key: '--key',
  policy: '--policy',
  validFrom: '--valid-from',
  validUntil: '--valid-until',
  to: '--to',
  'filters.eventTypes': '--event-types',
  'filters.sources': '--sources',
  'filters.tenantIds': '--tenant-ids',
  id: 'the id',
}

/** What finds damage is a failure to look into, although HTTP counts it among the caller's errors. */
const damage: ReadonlySet<string> = new Set([
  'CHECKPOINT_MISMATCH',
  'LOG_DAMAGED',
  'ARCHIVE_DAMAGED',
  'ARCHIVE_AMBIGUOUS',
  'NOTE_REFUSED',
  'ROOT_MISMATCH',
  'CURSOR_LOST',
  'TARGET_RECREATED',
])

/** The caller's own error, except where something is broken. */
export const exitCodeOf = (code: string): 1 | 2 => (damage.has(code) ? 1 : 2)

/** Bad input, named by flag: `--to-offset: must be greater than …`. */
export function badInput(fields: readonly FieldProblem[], code = 'BAD_REQUEST'): CliFailure {
  const line = fields
    .map(({ path, message }) => {
      const field = path.replace(/\.\d+$/, '')
      return path === '' ? message : `${flags[field] ?? path}: ${message}`
    })
    .join('; ')
  return new CliFailure(exitCodeOf(code), code, line, fields)
}
