import { parseArgs } from 'node:util'
import { wholeNumber } from '../run/wholeNumber.ts'

export interface BenchOptions {
  readonly events: number
  /** Each measurement this often, taking turns with its limit; medians are reported. */
  readonly repeat: number
  readonly json: boolean
}

export const benchUsage = `npm run bench [-- --events N] [--repeat N] [--json]

  --events N   events to ingest and to replay, 10000 to 20000000 (default 300000)
  --repeat N   measure everything N times and report medians, 1 to 20 (default 3)
  --json       progress to stderr; the last line of stdout is one JSON object`

/** Throws TypeError with what is wrong. */
export function readBenchOptions(argv: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...argv],
    strict: true,
    options: {
      events: { type: 'string', default: '300000' },
      repeat: { type: 'string', default: '3' },
      json: { type: 'boolean', default: false },
    },
  })
  return {
    events: wholeNumber('--events', values.events, 10_000, 20_000_000),
    repeat: wholeNumber('--repeat', values.repeat, 1, 20),
    json: values.json,
  }
}
