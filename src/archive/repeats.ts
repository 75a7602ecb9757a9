/** Repeated ids, which no leaf covers, held against the events of all recovered logs. */
import type { RecoveredLogView } from '../domain/archive/recoveryView.ts'
import type { LogRepeats, RecoveryWriter } from '../ports.ts'
import type { LogChain } from './chain.ts'
import { damaged } from './files.ts'

const nameOf = (log: Pick<LogRepeats, 'topic' | 'partition' | 'incarnation'>): string =>
  `${log.topic}/${log.partition}/${log.incarnation}`

/**
 * The logs with what became of their repeated ids: what earlier events bear out is no longer the archive's word. Throws
 * ARCHIVE_DAMAGED for a dead letter that repeats an id which no earlier event has.
 */
export async function judgeRepeats(
  writer: RecoveryWriter,
  chains: readonly LogChain[],
  logs: readonly RecoveredLogView[],
): Promise<readonly RecoveredLogView[]> {
  const found = new Map((await writer.judgeRepeats()).map((each) => [nameOf(each), each]))
  for (const chain of chains) {
    const contradicted = found.get(nameOf(chain.newest))?.contradicted ?? null
    if (contradicted === null) continue
    const { leafIndex, id, code } = contradicted
    const said = code === 'DUPLICATE_ID' ? 'with the same content' : 'with other content'
    throw damaged(
      fileOf(chain, leafIndex),
      `calls leaf ${leafIndex} of ${chain.origin} a dead letter ${code}, and no event before it has the id ${id} ${said}`,
    )
  }
  return logs.map((log) => {
    const repeats = found.get(nameOf(log))
    if (repeats === undefined) return log
    const { borneOut, twice } = repeats
    return {
      ...log,
      codesByWord: String(BigInt(log.codesByWord) - borneOut),
      ...(twice !== null && {
        repeatedIds: {
          events: String(twice.events),
          firstLeaf: String(twice.firstLeaf),
          nearest: String(twice.nearest),
        },
      }),
    }
  })
}

/** Where a leaf was read. */
function fileOf({ links }: LogChain, leaf: bigint): string {
  const link = links.findLast(({ from }) => from <= leaf)
  const file = link?.log.files.find(({ toLeaf }) => leaf < BigInt(toLeaf))
  return `${link?.archive.manifest.id}/${file?.name ?? 'manifest.json'}`
}
