import { Command } from 'commander'
import { parseIncarnationRequest } from '../domain/incarnationRequest.ts'
import type { LogView, OpenedIncarnationsView } from '../domain/logView.ts'
import { partitionOf } from './arguments.ts'
import { badInput, CliFailure } from './failure.ts'
import { formatLog } from './format.ts'
import type { ProgramContext } from './program.ts'

/** Pages of logs that are read at most; each holds up to a thousand. */
const MAX_PAGES = 20

interface LogFlags {
  readonly topic?: string
  readonly partition?: string
}

interface OpenFlags {
  readonly topic: string
  readonly partition?: string
  readonly all?: boolean
  readonly reason?: string
}

/** The commands of `pnpm log`. */
export function createLogProgram(context: ProgramContext): Command {
  const program = new Command('log')
    .description('Logs, and what to do when one fails closed')
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(text.replace(/\n(?=.)/g, ' ')) })
  const json = ['--json', 'one JSON object on stdout'] as const
  program
    .command('list')
    .description('show the logs of all incarnations and how they stand against Kafka')
    .option('--topic <topic>', 'only of this source topic')
    .option('--partition <number>', 'only of this source partition')
    .option(...json)
    .action((flags: LogFlags) => listLogs(flags, context))
  program
    .command('open-incarnation')
    .description(
      'go on in a new log where one failed closed (TOPIC_RECREATED, SOURCE_TRUNCATED, COMMITS_LOST); the old one stays as it is for ever',
    )
    .requiredOption('--topic <topic>', 'source topic')
    .option('--partition <number>', 'only this source partition (default: every closed one)')
    .option('--all', 'every closed partition of the topic')
    .option('--reason <text>', 'why, for the record')
    .option(...json)
    .action((flags: OpenFlags) => openIncarnation(flags, context))
  return program
}

async function listLogs({ topic, partition }: LogFlags, { api, terminal }: ProgramContext): Promise<void> {
  const items: LogView[] = []
  let cursor: string | null = null
  for (let page = 0; page < MAX_PAGES && (page === 0 || cursor !== null); page++) {
    const query = new URLSearchParams({
      limit: '1000',
      ...(topic !== undefined && { topic }),
      ...(partition !== undefined && { partition }),
      ...(cursor !== null && { cursor }),
    })
    const answer = (await api.get(`/logs?${query}`)) as { items: LogView[]; nextCursor: string | null }
    items.push(...answer.items)
    cursor = answer.nextCursor
  }
  terminal.result({ items, nextCursor: cursor })
  if (terminal.json) return
  if (items.length === 0) terminal.line('There is no such log yet')
  for (const log of items.sort(byPlace)) terminal.line(formatLog(log))
  if (cursor !== null) terminal.line('There are more: narrow with --topic')
}

const byPlace = (a: LogView, b: LogView): number =>
  a.topic.localeCompare(b.topic) || a.partition - b.partition || a.incarnation - b.incarnation

async function openIncarnation(flags: OpenFlags, { api, terminal }: ProgramContext): Promise<void> {
  if (flags.all === true && flags.partition !== undefined)
    throw new CliFailure(2, 'BAD_REQUEST', '--all and --partition exclude each other')
  const { topic, partition, reason } = flags
  const parsed = parseIncarnationRequest({
    topic,
    ...(partition !== undefined && { partition: partitionOf(partition) }),
    ...(reason !== undefined && { reason }),
  })
  if (!parsed.ok) throw badInput(parsed.problems)
  const answer = (await api.post('/logs/open-incarnation', parsed.value)) as OpenedIncarnationsView
  terminal.result(answer)
  for (const log of answer.opened)
    terminal.line(
      `${log.topic}/${log.partition}: incarnation ${log.incarnation} begins at offset ${log.startOffset} of topic id ${log.topicId}`,
    )
  for (const { partition: other, code, detail } of answer.left)
    terminal.line(`${topic}/${other}: left as it is (${code}: ${detail})`)
}
