/** Logs that only their notes tell of: what must not be contradicted when ingest goes on. */
import { MAX_INT4 } from '../domain/archive/manifest.ts'
import { type LogOrigin, parseOrigin } from '../domain/evidence/origin.ts'
import { inOrder, type LogChain } from './chain.ts'

/**
 * The chains, and of each partition the newest log that notes tell of, where no archive holds it or a later one: a chain without
 * links. Unless it is opened, ingest goes on in the log before it, or begins anew under its name. Notes of another installation
 * than `instance` say nothing of this one. In the order of logs.
 */
export function withNotedLogs(
  chains: readonly LogChain[],
  origins: Iterable<string>,
  instance: string,
  nowMs: number,
): readonly LogChain[] {
  const archived = new Map<string, number>()
  for (const { newest: log } of chains)
    archived.set(partitionOf(log), Math.max(log.incarnation, archived.get(partitionOf(log)) ?? 0))
  const noted = new Map<string, { readonly origin: string; readonly log: LogOrigin }>()
  for (const origin of origins) {
    const log = parseOrigin(origin)
    if (log === null || log.instance !== instance) continue
    // Neither can be stored, nor can another one follow.
    if (log.partition > MAX_INT4 || log.incarnation >= MAX_INT4) continue
    const partition = partitionOf(log)
    if (log.incarnation <= (archived.get(partition) ?? 0)) continue
    const other = noted.get(partition)
    if (other === undefined || isLater(log, other.log)) noted.set(partition, { origin, log })
  }
  return [...chains, ...[...noted.values()].map(({ origin, log }) => emptyChain(origin, log, nowMs))].sort(
    inOrder,
  )
}

const partitionOf = ({ topic, partition }: Pick<LogOrigin, 'topic' | 'partition'>): string =>
  `${topic}/${partition}`

/** Of two under one number the later one begins where Kafka began by then. */
const isLater = (a: LogOrigin, b: LogOrigin): boolean =>
  a.incarnation === b.incarnation ? a.startOffset > b.startOffset : a.incarnation > b.incarnation

function emptyChain(origin: string, log: LogOrigin, nowMs: number): LogChain {
  const startOffset = String(log.startOffset)
  return {
    origin,
    newest: { ...log, startOffset, leaderEpoch: -1, createdAt: nowMs },
    ...{ links: [], end: 0n, endOffset: log.startOffset, parts: [] },
  }
}
