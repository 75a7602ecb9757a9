import { parseArgs } from 'node:util'
import { wholeNumber } from '../run/wholeNumber.ts'

export interface DrillOptions {
  readonly events: number
  readonly json: boolean
}

const fewestEvents = 2_000
const mostEvents = 20_000_000

export const drillUsage = `npm run drill -- [--events N] [--json]

  --events N   records to produce, ${fewestEvents} to ${mostEvents} (default 100000)
  --json       progress to stderr; the last line of stdout is one JSON object`

/** Throws TypeError with what is wrong. */
export function readDrillOptions(argv: readonly string[]): DrillOptions {
  const { values } = parseArgs({
    args: [...argv],
    strict: true,
    options: {
      events: { type: 'string', default: '100000' },
      json: { type: 'boolean', default: false },
    },
  })
  const events = wholeNumber('--events', values.events, fewestEvents, mostEvents)
  return { events, json: values.json }
}
