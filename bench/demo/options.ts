import { parseArgs } from 'node:util'
import { wholeNumber } from '../run/wholeNumber.ts'

export interface DemoOptions {
  readonly events: number
  readonly keep: boolean
  readonly json: boolean
  /** Ends what an earlier `--keep` left running. */
  readonly stop: boolean
}

export const demoUsage = `npm run demo -- [--events N] [--keep] [--json]
npm run demo -- --stop

  --events N   records to produce, ${10_000} to ${20_000_000} (default 200000)
  --keep       leave servers and platform running and print their addresses
  --stop       end what --keep left running
  --json       progress to stderr; the last line of stdout is one JSON object`

/** Fewer are replayed before anybody could kill the worker in the middle. */
const fewestEvents = 10_000
const mostEvents = 20_000_000

/** Throws TypeError with what is wrong. */
export function readDemoOptions(argv: readonly string[]): DemoOptions {
  const { values } = parseArgs({
    args: [...argv],
    strict: true,
    options: {
      events: { type: 'string', default: '200000' },
      keep: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      stop: { type: 'boolean', default: false },
    },
  })
  const events = wholeNumber('--events', values.events, fewestEvents, mostEvents)
  return { events, keep: values.keep, json: values.json, stop: values.stop }
}
