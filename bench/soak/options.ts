import { parseArgs } from 'node:util'
import { wholeNumber } from '../run/wholeNumber.ts'

export interface SoakOptions {
  readonly events: number
  readonly partitions: number
  /** Events of each replay that compares the end of a log with its start. */
  readonly edge: number
  readonly json: boolean
}

export const soakUsage = `npm run soak [-- --events N] [--partitions N] [--edge N] [--json]

  --events N      events to ingest and to replay, 20000 to 20000000 (default 10000000)
  --partitions N  of the source topic, 1 to 64 (default 4)
  --edge N        events of the replays at a log's start and end, 1000 to 1000000 (default 100000)
  --json          progress to stderr; the last line of stdout is one JSON object`

/** Throws TypeError with what is wrong. */
export function readSoakOptions(argv: readonly string[]): SoakOptions {
  const { values } = parseArgs({
    args: [...argv],
    strict: true,
    options: {
      events: { type: 'string', default: '10000000' },
      partitions: { type: 'string', default: '4' },
      edge: { type: 'string', default: '100000' },
      json: { type: 'boolean', default: false },
    },
  })
  const options = {
    events: wholeNumber('--events', values.events, 20_000, 20_000_000),
    partitions: wholeNumber('--partitions', values.partitions, 1, 64),
    edge: wholeNumber('--edge', values.edge, 1_000, 1_000_000),
    json: values.json,
  }
  if (options.edge * options.partitions * 2 > options.events)
    throw new TypeError('--edge must be at most half of the events of a partition')
  return options
}
