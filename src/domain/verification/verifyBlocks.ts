/**
 * Takes the rows of a log, block by block of 256 leaves, to the tree that they give, and compares it with all that the
 * log says of itself. Data in, data out. A block that is not right costs more and is explained (blockDamage.ts); what
 * comes behind it is judged by itself, so that one damage is one finding.
 */
import { appendLeaves, emptyRoot, setBits } from '../merkle.ts'
import type { Frontier, Hash, LeafIndex } from '../model.ts'
import { BLOCK_LEAVES, BLOCK_LEVEL, type Block, subtreesOf } from './block.ts'
import { explainBlock } from './blockDamage.ts'
import { checkCheckpoints, checkpointOf } from './checkCheckpoints.ts'
import { leavesAround, ofTheirDays, rowsAround, unshown } from './detachedBlock.ts'
import { type Away, awayIn, countDetached } from './detachedLeaves.ts'
import { addFindings, type Finding } from './finding.ts'
import type { LeafCounts, Progress, ReadPosition } from './progress.ts'
import { type RowSheet, rowKinds } from './rowSheet.ts'
import { type Evidence, type LogHead, type NodeRow, nodeKey } from './stored.ts'

/** Rows that a damaged block may have before it is judged as it is, though its end has not been seen. */
const MAX_BLOCK_ROWS = 16_384

export interface Step {
  readonly progress: Progress
  /** Rows of the sheet, from its front, that are done with. */
  readonly rows: number
}

/** How the position of the reader is written down: what `RowSheet.spans` stands for. */
export type SpanName = (span: number) => string

/**
 * Verifies as many blocks as sheet and evidence allow. `atEnd`: no more rows will come. The last block, the one that
 * is not whole, is verified only then.
 */
export function verifyBlocks(
  progress: Progress,
  sheet: RowSheet,
  evidence: Evidence,
  atEnd: boolean,
  spanName: SpanName,
): Step {
  let rows = 0
  let now = progress
  while (now.size < now.head.size && now.size >> BigInt(BLOCK_LEVEL) < evidence.blocksTo) {
    const step = verifyBlock(now, sheet, rows, evidence, atEnd, spanName)
    if (step === null) break
    now = step.progress
    rows = step.rows
  }
  return { progress: now, rows }
}

function verifyBlock(
  progress: Progress,
  sheet: RowSheet,
  start: number,
  evidence: Evidence,
  atEnd: boolean,
  spanName: SpanName,
): Step | null {
  const { head, size } = progress
  const left = head.size - size
  const count = left < BigInt(BLOCK_LEAVES) ? Number(left) : BLOCK_LEAVES
  const whole = count === BLOCK_LEAVES
  // Behind the last leaf there must be nothing: only the end of the rows says so.
  if (left <= BigInt(BLOCK_LEAVES) && !atEnd) return null
  const node = whole ? (evidence.nodes.get(nodeKey(BLOCK_LEVEL, size >> BigInt(BLOCK_LEVEL))) ?? null) : null
  const isLast = left <= BigInt(BLOCK_LEAVES)
  const away = awayOf(progress, sheet, start, count, evidence, node)
  if (away !== null) {
    const end = rowsAround(progress, sheet, start, count, away, atEnd)
    if (end === 'more') return null
    if (end !== null && (!isLast || end === sheet.count)) {
      const ends = evidence.checkpoints.some((each) => each.size > size && each.size < size + BigInt(count))
      const findings = unshown(away, size, count, ends || !whole)
      const explained = { findings, leaves: leavesAround(sheet, start, count, away) }
      return advance(progress, sheet, { start, end, whole, node, away }, evidence, explained, spanName)
    }
  } else if (isRegular(progress, sheet, start, count) && (!isLast || start + count === sheet.count))
    return advance(
      progress,
      sheet,
      { start, end: start + count, whole, node, away },
      evidence,
      regular(sheet, start, count),
      spanName,
    )

  const below = isLast ? head.nextOffset : endOf(node, progress)
  const end = isLast ? sheet.count : damagedEnd(sheet, start, progress, below, atEnd)
  if (end === null) return null
  const block: Block = {
    base: size,
    count,
    reference: whole ? (node === null ? null : [node.hash]) : lastPart(head, count),
    checkpoint: checkpointOf(progress, count, evidence),
    away,
    from: progress.endOffset,
    below,
    earliestMs: progress.ingestedMs,
    latestMs: head.lastIngestedMs ?? head.createdMs,
  }
  const explained = explainBlock(sheet, start, end, block)
  return advance(progress, sheet, { start, end, whole, node, away }, evidence, explained, spanName)
}

function awayOf(
  progress: Progress,
  sheet: RowSheet,
  start: number,
  count: number,
  { detached }: Evidence,
  node: NodeRow | null,
): Away | null {
  const away = awayIn(detached, progress.size, count)
  const { head } = progress
  const latestMs = node?.ingestedMs ?? head.lastIngestedMs ?? head.createdMs
  return away === null ? null : ofTheirDays(progress, sheet, start, away, latestMs)
}

/** The part of the log's frontier that its last leaves make; null when the frontier is none of a log of this size. */
const lastPart = ({ frontier, size, flaw }: LogHead, leaves: number): Frontier | null =>
  flaw === null && frontier.length === setBits(size)
    ? frontier.slice(frontier.length - setBits(BigInt(leaves)))
    : null

/** Where a block's offsets end, as its node says; null when the node does not help. */
const endOf = (node: NodeRow | null, progress: Progress): bigint | null =>
  node !== null && node.endOffset > progress.endOffset && node.endOffset <= progress.head.nextOffset
    ? node.endOffset
    : null

/** What nearly every block is: dense, in order, each row as its bytes say. */
function isRegular(progress: Progress, sheet: RowSheet, start: number, count: number): boolean {
  if (sheet.count - start < count) return false
  const latestMs = progress.head.lastIngestedMs ?? progress.head.createdMs
  let { endOffset, ingestedMs } = progress
  let leaf: bigint = progress.size
  for (let row = start; row < start + count; row++, leaf++) {
    const time = sheet.ingestedMs[row] as number
    if (sheet.leafIndexes[row] !== leaf || sheet.computed[row] !== sheet.stored[row]) return false
    if (sheet.differences[row] !== null || (sheet.offsets[row] as bigint) < endOffset) return false
    if (time < ingestedMs || time > latestMs || !Number.isInteger(time)) return false
    endOffset = sheet.ends[row] as bigint
    ingestedMs = time
  }
  return endOffset <= progress.head.nextOffset
}

interface Explained {
  readonly findings: readonly Finding[]
  readonly leaves: readonly (Hash | null)[]
}

const regular = (sheet: RowSheet, start: number, count: number): Explained => ({
  findings: [],
  leaves: sheet.computed.slice(start, start + count),
})

/** The row behind the last one of a damaged block; null when more rows must be read to know. */
function damagedEnd(
  sheet: RowSheet,
  start: number,
  progress: Progress,
  below: bigint | null,
  atEnd: boolean,
): number | null {
  const nextLeaf = progress.size + BigInt(BLOCK_LEAVES)
  const belongs = (row: number): boolean =>
    below === null ? (sheet.leafIndexes[row] as bigint) < nextLeaf : (sheet.offsets[row] as bigint) < below
  // Two in a row that lie behind it: a single one may be a stranger.
  for (let row = start; row < sheet.count; row++)
    if (!belongs(row) && row + 1 < sheet.count && !belongs(row + 1)) return row
  if (sheet.count - start > MAX_BLOCK_ROWS) return start + MAX_BLOCK_ROWS
  if (!atEnd) return null
  return sheet.count > start && !belongs(sheet.count - 1) ? sheet.count - 1 : sheet.count
}

interface Rows {
  readonly start: number
  readonly end: number
  readonly whole: boolean
  readonly node: NodeRow | null
  readonly away: Away | null
}

/** Adds a block to the tree and compares what is stored with it. */
function advance(
  progress: Progress,
  sheet: RowSheet,
  rows: Rows,
  evidence: Evidence,
  { findings: inRows, leaves }: Explained,
  spanName: SpanName,
): Step {
  const { size } = progress
  const findings = [...inRows]
  const known = leaves.every((leaf): leaf is Hash => leaf !== null) ? leaves : null
  // Of what is away, offsets, bytes and times are the node's word, as in a damaged block.
  const damaged = inRows.length > 0 || rows.away !== null
  const last = rows.end > rows.start ? rows.end - 1 : null
  const walked = walk(progress, sheet, rows, damaged, last)
  const block = { known, count: leaves.length, damaged }
  const { checked, findings: ofCheckpoints } = checkCheckpoints(progress, block, evidence, sheet, rows)
  findings.push(...ofCheckpoints)
  const next: Progress = {
    ...progress,
    ...walked,
    size: (size + BigInt(leaves.length)) as LeafIndex,
    read: readPosition(progress.read, sheet, rows, spanName),
    counts: countRows(progress.counts, sheet, rows, checked),
    detached: rows.away === null ? progress.detached : countDetached(progress.detached, rows.away.runs),
  }
  const grown = rows.whole
    ? growTree(next, progress, known, rows.node, evidence, findings, damaged)
    : finishTree(next, known, leaves.length)
  return {
    progress: { ...grown, findings: addFindings(progress.findings, findings) },
    rows: rows.end,
  }
}

/** Position behind the block. What a damaged block hides, its node says; the next block is judged from there. */
function walk(
  progress: Progress,
  sheet: RowSheet,
  { start, end, node, whole, away }: Rows,
  damaged: boolean,
  last: number | null,
): Pick<Progress, 'endOffset' | 'bytes' | 'ingestedMs'> {
  if (damaged && node !== null) return placeOf(node, progress)
  if (away !== null && !whole) return endOfTail(progress, sheet, end, away)
  let { endOffset, bytes, ingestedMs } = progress
  let sum = 0
  for (let row = start; row < end; row++) sum += sheet.bytes[row] as number
  bytes += BigInt(sum)
  if (last !== null && !damaged) {
    endOffset = sheet.ends[last] as bigint
    ingestedMs = sheet.ingestedMs[last] as number
  } else if (last !== null) {
    for (let row = start; row < end; row++)
      if ((sheet.ends[row] as bigint) > endOffset) endOffset = sheet.ends[row] as bigint
  }
  return { endOffset, bytes, ingestedMs }
}

const placeOf = (
  node: NodeRow,
  progress: Progress,
): Pick<Progress, 'endOffset' | 'bytes' | 'ingestedMs'> => ({
  endOffset: later(node.endOffset, progress.endOffset),
  bytes: node.bytes,
  ingestedMs: Math.max(node.ingestedMs, progress.ingestedMs),
})

/** Of a log that ends among leaves that are away: only its own row knows how many bytes they had, and when they came. */
function endOfTail(
  { head, endOffset }: Progress,
  sheet: RowSheet,
  end: number,
  { runs }: Away,
): Pick<Progress, 'endOffset' | 'bytes' | 'ingestedMs'> {
  const ends = [
    endOffset,
    ...runs.map(({ toOffset }) => toOffset),
    ...(end > 0 ? [sheet.ends[end - 1] as bigint] : []),
  ]
  return {
    endOffset: ends.reduce(later),
    bytes: head.bytes,
    ingestedMs: head.lastIngestedMs ?? head.createdMs,
  }
}

function readPosition(
  read: ReadPosition,
  sheet: RowSheet,
  { start, end }: Rows,
  spanName: SpanName,
): ReadPosition {
  let { event, deadLetter, gap } = read
  let span = -1
  for (let row = start; row < end; row++) {
    const next = (sheet.offsets[row] as bigint) + 1n
    switch (sheet.kinds[row]) {
      case rowKinds.event:
        event = next
        span = sheet.spans[row] as number
        break
      case rowKinds.deadLetter:
      case rowKinds.unproven:
        deadLetter = next
        break
      default:
        gap = next
    }
  }
  return { span: span < 0 ? read.span : spanName(span), event, deadLetter, gap }
}

function countRows(
  counts: LeafCounts,
  sheet: RowSheet,
  { start, end }: Rows,
  checkpoints: number,
): LeafCounts {
  const found = [0, 0, 0, 0]
  for (let row = start; row < end; row++) (found[sheet.kinds[row] as number] as number)++
  const [events = 0, deadLetters = 0, gaps = 0, unproven = 0] = found
  return {
    events: counts.events + BigInt(events),
    deadLetters: counts.deadLetters + BigInt(deadLetters + unproven),
    gaps: counts.gaps + BigInt(gaps),
    unproven: counts.unproven + BigInt(unproven),
    checkpoints: counts.checkpoints + BigInt(checkpoints),
  }
}

/** A whole block becomes one leaf of the tree of blocks. */
function growTree(
  next: Progress,
  progress: Progress,
  known: readonly Hash[] | null,
  node: NodeRow | null,
  evidence: Evidence,
  findings: Finding[],
  damaged: boolean,
): Progress {
  const index = progress.size >> BigInt(BLOCK_LEVEL)
  const computed = known === null ? null : (subtreesOf(known)[0] as Hash)
  if (node === null) findings.push(nodeFinding(BLOCK_LEVEL, index, 'is missing'))
  else if (!damaged) findings.push(...compareBlockNode(node, computed as Hash, next))
  else if (computed !== null && computed !== node.hash)
    findings.push(nodeFinding(BLOCK_LEVEL, index, 'has another hash', 'hash'))

  // Neither rows nor node: whatever stands here, the log's own root will not follow from it.
  const byRows = computed ?? node?.hash ?? emptyRoot
  const byNodes = node?.hash ?? byRows
  const grown = appendLeaves({ size: index as LeafIndex, frontier: progress.blocks }, [byRows])
  const twin = progress.nodeBlocks ?? (byRows === byNodes ? null : progress.blocks)
  const nodeBlocks =
    twin === null ? null : appendLeaves({ size: index as LeafIndex, frontier: twin }, [byNodes]).frontier
  for (const { level, index: at, hash } of grown.nodes) {
    const stored = evidence.nodes.get(nodeKey(level + BLOCK_LEVEL, at))
    if (stored === undefined) findings.push(nodeFinding(level + BLOCK_LEVEL, at, 'is missing'))
    else if (stored.hash !== hash && nodeBlocks === null)
      findings.push(nodeFinding(level + BLOCK_LEVEL, at, 'has another hash', 'hash'))
    else if (!damaged) findings.push(...comparePlace(stored, next))
  }
  // Rows that were rewritten have other lengths: the next block is judged from what the node says.
  const place = node !== null && byRows !== byNodes ? placeOf(node, next) : null
  return { ...next, ...place, blocks: grown.frontier, nodeBlocks }
}

function compareBlockNode(node: NodeRow, computed: Hash, next: Progress): Finding[] {
  if (node.hash === computed) return comparePlace(node, next)
  return [nodeFinding(node.level, node.index, 'has another hash than the leaves below it give', 'hash')]
}

function comparePlace(node: NodeRow, next: Progress): Finding[] {
  const wrong: string[] = []
  if (node.endOffset !== next.endOffset) wrong.push('end_offset')
  if (node.bytes !== next.bytes) wrong.push('bytes')
  if (node.ingestedMs !== next.ingestedMs) wrong.push('ingested_at')
  if (wrong.length === 0) return []
  return [nodeFinding(node.level, node.index, 'does not follow from the rows below it', wrong.join(', '))]
}

export const nodeFinding = (level: number, index: bigint, what: string, column?: string): Finding => ({
  kind: 'node',
  leafIndex: String(index << BigInt(level)),
  offset: null,
  count: '1',
  ...(column !== undefined && { column }),
  detail: `the node ${index} of level ${level}, over the leaves [${index << BigInt(level)}, ${(index + 1n) << BigInt(level)}), ${what}`,
})

/** The last leaves, which fill no block. */
function finishTree(next: Progress, known: readonly Hash[] | null, count: number): Progress {
  const { head, blocks, nodeBlocks } = next
  // Of a tail that is not known, the log's own word is all there is; without that, whatever stands here is not its root.
  const tail =
    known === null
      ? (lastPart(head, count) ?? Array.from({ length: setBits(BigInt(count)) }, () => emptyRoot))
      : subtreesOf(known)
  return {
    ...next,
    blocks: [...blocks, ...tail],
    nodeBlocks: nodeBlocks === null ? null : [...nodeBlocks, ...tail],
  }
}

function later(left: bigint, right: bigint): bigint {
  if (left < right) return right
  return left
}
