/** Commands about producers' keys, through the service. */
import type { ProducerView } from '../../domain/producerView.ts'
import type { FetchContext } from './fetch.ts'

export interface ProducerKeyFlags {
  readonly source: string
  readonly key: string
  readonly validFrom?: string
  readonly validUntil?: string
  readonly reason?: string
}

export interface PolicyFlags {
  readonly source: string
  readonly policy: string
  readonly reason?: string
}

/** Pages of sources that are read at most; each holds up to a thousand. */
const MAX_PAGES = 20

/** What is wrong with a flag, the service says. */
export async function addProducerKey(
  flags: ProducerKeyFlags,
  { terminal, connect }: FetchContext,
): Promise<void> {
  const { source, key, validFrom, validUntil, reason } = flags
  const producer = (await connect().post('/producer-keys', {
    source,
    key,
    ...(validFrom !== undefined && { validFrom }),
    ...(validUntil !== undefined && { validUntil }),
    ...(reason !== undefined && { reason }),
  })) as ProducerView
  terminal.result(producer)
  for (const line of linesOf(producer)) terminal.line(line)
}

export async function setSignaturePolicy(
  flags: PolicyFlags,
  { terminal, connect }: FetchContext,
): Promise<void> {
  const { source, policy, reason } = flags
  const producer = (await connect().post('/signature-policies', {
    source,
    policy,
    ...(reason !== undefined && { reason }),
  })) as ProducerView
  terminal.result(producer)
  for (const line of linesOf(producer)) terminal.line(line)
}

export async function listProducers(
  { source }: { readonly source?: string },
  { terminal, connect }: FetchContext,
): Promise<void> {
  const api = connect()
  const items: ProducerView[] = []
  let cursor: string | null = null
  for (let page = 0; page < MAX_PAGES && (page === 0 || cursor !== null); page++) {
    const query = new URLSearchParams({
      limit: '1000',
      ...(source !== undefined && { source }),
      ...(cursor !== null && { cursor }),
    })
    const answer = (await api.get(`/producer-keys?${query}`)) as {
      readonly items: readonly ProducerView[]
      readonly nextCursor: string | null
    }
    items.push(...answer.items)
    cursor = answer.nextCursor
  }
  terminal.result({ items, nextCursor: cursor })
  if (terminal.json) return
  if (items.length === 0) terminal.line('No producer has a key')
  for (const producer of items) for (const line of linesOf(producer)) terminal.line(line)
  if (cursor !== null) terminal.line('There are more: narrow with --source')
}

const linesOf = ({ source, policy, keys }: ProducerView): string[] => [
  `${source}: ${policy}`,
  ...keys.map(
    ({ key, validFrom, validUntil }) =>
      `  ${key}  from ${validFrom}${validUntil === null ? '' : ` until ${validUntil}`}`,
  ),
]
