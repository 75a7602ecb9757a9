/** The end of a log's verification: the whole against the log's own row, and what stands beyond it. */

import { emptyFrontier, emptyRoot, setBits } from '../merkle.ts'
import { sameFrontier } from './block.ts'
import { checkpointFinding } from './checkCheckpoints.ts'
import { addFindings, type Finding, type Findings, noFindings } from './finding.ts'
import { type Progress, startOf } from './progress.ts'
import { type RowSheet, rowKinds } from './rowSheet.ts'
import type { CheckpointRow, GoneLog, LogHead, NodeRow } from './stored.ts'
import { nodeFinding } from './verifyBlocks.ts'

/** What the log has beyond its own end, asked for in one look. */
export interface Beyond {
  /** Rows of any table at or behind the log's next offset; the lowest offset of them. */
  readonly rows: { readonly count: bigint; readonly first: bigint } | null
  /** Nodes over leaves that the log does not have, by level and index. */
  readonly nodes: readonly Pick<NodeRow, 'level' | 'index'>[]
  /** Checkpoints over more leaves than the log has. */
  readonly checkpoints: readonly CheckpointRow[]
  /** Checkpoints over no leaves that do not have the root of nothing, or have a flaw. */
  readonly empty: readonly CheckpointRow[]
}

/** Rows that are left over in a log without leaves, the frontier, the counters, and what lies beyond. */
export function concludeLog(progress: Progress, leftOver: RowSheet, beyond: Beyond): Progress {
  const found: Finding[] = []
  for (let row = 0; row < leftOver.count; row++) found.push(leftOverRow(leftOver, row))
  const { findings, whole } = judgeWhole(progress)
  found.push(...whole)
  if (beyond.rows !== null) {
    const { count, first } = beyond.rows
    const detail = `${count} rows stand at or behind the log's next offset`
    found.push({ kind: 'inserted', leafIndex: null, offset: String(first), count: String(count), detail })
  }
  for (const { level, index } of beyond.nodes)
    found.push(nodeFinding(level, index, 'covers leaves that the log does not have'))
  for (const row of beyond.checkpoints)
    found.push(checkpointFinding(row, progress.head.size, `covers more than the log has`, 'size'))
  for (const row of beyond.empty) {
    if (row.rootHash !== emptyRoot)
      found.push(checkpointFinding(row, 0n, 'has another root than that of no leaves', 'root_hash'))
    else if (row.flaw !== null) found.push(checkpointFinding(row, 0n, row.flaw.what, row.flaw.column))
  }
  return { ...progress, findings: unite(addFindings(findings, found)), done: true }
}

/** Rows of other tables name a log whose own row is gone: there is nothing to hold them against. */
export function concludeGoneLog({ logId, tables, checkpointId }: GoneLog): Progress {
  const finding: Finding = {
    kind: 'log-missing',
    leafIndex: null,
    offset: null,
    count: '1',
    ...(checkpointId !== null && { checkpointId }),
    detail: `there is no log ${logId}, and rows of ${tables.join(', ')} name it`,
  }
  return { ...startOf(nothing), findings: addFindings(noFindings, [finding]), done: true }
}

const nothing: LogHead = {
  size: 0n,
  startOffset: 0n,
  nextOffset: 0n,
  bytes: 0n,
  frontier: emptyFrontier,
  flaw: null,
  createdMs: 0,
  lastIngestedMs: null,
}

function leftOverRow(sheet: RowSheet, row: number): Finding {
  const table = sheet.kinds[row] === rowKinds.event ? 'events' : 'dead_letters or gaps'
  return {
    kind: 'inserted',
    leafIndex: String(sheet.leafIndexes[row]),
    offset: String(sheet.offsets[row]),
    count: '1',
    detail: `the log has no leaf for this row of ${table}`,
  }
}

/** Rows, nodes and the log's row are three witnesses: of two that agree, the third was changed. */
function judgeWhole(progress: Progress): { readonly findings: Findings; readonly whole: readonly Finding[] } {
  const { head, blocks, nodeBlocks, findings, counts } = progress
  const lost = findings.counts.missing !== undefined
  if (head.flaw !== null)
    return { findings, whole: [ofHead('frontier', `the log's own row has no frontier: ${head.flaw}`)] }
  if (head.size >= 0n && head.frontier.length !== setBits(head.size)) {
    const detail = `the log's own row has a frontier of ${head.frontier.length} hashes, which is none of ${head.size} leaves`
    return { findings, whole: [ofHead('frontier', detail)] }
  }
  if (!sameFrontier(blocks, head.frontier)) {
    if (nodeBlocks !== null && sameFrontier(nodeBlocks, head.frontier))
      return { findings: rewritten(findings), whole: [] }
    const checked = counts.checkpoints > 0n && findings.counts.checkpoint === undefined
    const detail = checked
      ? "the log's own row has another frontier than its rows give, and the checkpoints agree with the rows"
      : "the log's own row has another frontier than its rows give"
    return { findings, whole: [ofHead('frontier', detail)] }
  }
  const wrong: string[] = []
  if (progress.bytes !== head.bytes) wrong.push('bytes')
  if (head.size > 0n && progress.ingestedMs !== head.lastIngestedMs) wrong.push('last_ingested_at')
  if (wrong.length === 0 || lost || Object.keys(findings.counts).length > 0) return { findings, whole: [] }
  return { findings, whole: [ofHead(wrong.join(', '), "the log's own row does not follow from its rows")] }
}

const ofHead = (column: string, detail: string): Finding => ({
  kind: 'frontier',
  leafIndex: null,
  offset: null,
  count: '1',
  column,
  detail,
})

/** The nodes are those that the log's root was made of: so the rows below them are not. */
function rewritten({ kept, counts }: Findings): Findings {
  const isHash = ({ kind, column }: Finding): boolean => kind === 'node' && column === 'hash'
  const changed = kept.filter(isHash).length
  if (changed === 0) return { kept, counts }
  const nodes = BigInt(counts.node ?? 0) - BigInt(changed)
  const { node: _, ...others } = counts
  return {
    kept: kept.map((finding) => {
      if (!isHash(finding)) return finding
      const { column: _column, ...rest } = finding
      const detail = `one or more rows were rewritten together with their leaf hashes: ${finding.detail}; the log's own root is made of the node`
      return { ...rest, kind: 'rewritten', detail }
    }),
    counts: {
      ...others,
      ...(nodes > 0n && { node: String(nodes) }),
      rewritten: String(BigInt(counts.rewritten ?? 0) + BigInt(changed)),
    },
  }
}

/** A row that is missing in its place and turns up in another one was moved. */
function unite({ kept, counts }: Findings): Findings {
  const strangers = new Map(
    kept
      .filter(({ kind, leafIndex }) => kind === 'inserted' && leafIndex !== null)
      .map((each) => [each.leafIndex, each]),
  )
  const moved = new Set<Finding>()
  const united: Finding[] = []
  for (const finding of kept) {
    const stranger =
      finding.kind === 'missing' && finding.count === '1' ? strangers.get(finding.leafIndex) : undefined
    if (stranger === undefined) united.push(finding)
    else {
      moved.add(stranger)
      const detail = 'the row stands among those of another time'
      united.push({ ...stranger, kind: 'reordered', column: 'ingested_at', detail })
    }
  }
  if (moved.size === 0) return { kept, counts }
  const less = (kind: 'missing' | 'inserted') => BigInt(counts[kind] ?? 0) - BigInt(moved.size)
  const { missing: _missing, inserted: _inserted, ...others } = counts
  return {
    kept: united.filter((finding) => !moved.has(finding)),
    counts: {
      ...others,
      ...(less('missing') > 0n && { missing: String(less('missing')) }),
      ...(less('inserted') > 0n && { inserted: String(less('inserted')) }),
      reordered: String(BigInt(counts.reordered ?? 0) + BigInt(moved.size)),
    },
  }
}
