/** What happened to a block of leaves whose rows are not what they should be. Only damaged logs come here. */
import { appendLeaves, emptyFrontier } from '../merkle.ts'
import type { Frontier, Hash, LeafIndex } from '../model.ts'
import { type Finding, inLogOrder } from './finding.ts'
import type { RowSheet } from './rowSheet.ts'

export interface Block {
  /** Index of its first leaf. */
  readonly base: bigint
  /** Leaves that it must have. */
  readonly count: number
  /** What its leaves must hash to (one root, or the last part of the log's frontier); null when nothing says so. */
  readonly reference: Frontier | null
  /** Offsets that it may hold: [from, below). */
  readonly from: bigint
  readonly below: bigint | null
  readonly earliestMs: number
  readonly latestMs: number
}

export interface BlockFindings {
  readonly findings: readonly Finding[]
  /** Leaf by leaf as they must have been, as far as can be told; null for those of missing rows. */
  readonly leaves: readonly (Hash | null)[]
}

export const subtreesOf = (leaves: readonly Hash[]): Frontier =>
  appendLeaves({ size: 0n as LeafIndex, frontier: emptyFrontier }, leaves).frontier

export const sameFrontier = (left: Frontier, right: Frontier): boolean =>
  left.length === right.length && left.every((hash, index) => hash === right[index])

/** Names what is wrong with the rows [start, end) of the sheet, which stand for the block. */
export function explainBlock(sheet: RowSheet, start: number, end: number, block: Block): BlockFindings {
  const findings: Finding[] = []
  const own = sortedRows(sheet, start, end, block, findings)
  const slots = placeRows(sheet, own, block, findings)
  const exchanged = findings.some(({ kind, column }) => kind === 'reordered' && column === 'offset')
  const leaves = settleLeaves(sheet, slots, block, findings, exchanged)
  checkTimes(sheet, slots, block, findings)
  return { findings: inLogOrder(findings), leaves }
}

interface About {
  readonly column?: string
  readonly count?: bigint
}

function at(
  sheet: RowSheet,
  row: number,
  kind: Finding['kind'],
  leaf: bigint,
  detail: string,
  about: About = {},
): Finding {
  return {
    kind,
    leafIndex: String(leaf),
    offset: String(sheet.offsets[row]),
    count: String(about.count ?? 1n),
    ...(about.column !== undefined && { column: about.column }),
    detail,
  }
}

/** The block's own rows by offset. Rows of elsewhere are inserted ones; rows out of order are named. */
function sortedRows(
  sheet: RowSheet,
  start: number,
  end: number,
  block: Block,
  findings: Finding[],
): number[] {
  const own: number[] = []
  for (let row = start; row < end; row++) {
    const offset = sheet.offsets[row] as bigint
    if (offset >= block.from && (block.below === null || offset < block.below)) own.push(row)
    else
      findings.push(
        at(
          sheet,
          row,
          'inserted',
          sheet.leafIndexes[row] as bigint,
          `a row of the offset ${offset} stands among those of the leaves from ${block.base}`,
          { column: 'ingested_at' },
        ),
      )
  }
  const moved = outOfOrder(own.map((row) => sheet.offsets[row] as bigint))
  for (const position of moved) {
    const row = own[position] as number
    const leaf = sheet.leafIndexes[row] as bigint
    const detail = 'the row stands among those of another time'
    findings.push(at(sheet, row, 'reordered', leaf, detail, { column: 'ingested_at' }))
  }
  return own.sort((left, right) => {
    const difference = (sheet.offsets[left] as bigint) - (sheet.offsets[right] as bigint)
    return difference < 0n ? -1 : difference > 0n ? 1 : left - right
  })
}

/** Positions that are not part of the longest run that ascends: the fewest that can have been moved. */
function outOfOrder(values: readonly bigint[]): number[] {
  const lengths: number[] = []
  const before: number[] = []
  let last = -1
  for (let i = 0; i < values.length; i++) {
    lengths[i] = 1
    before[i] = -1
    for (let j = 0; j < i; j++) {
      if ((values[j] as bigint) > (values[i] as bigint) || (lengths[j] as number) < (lengths[i] as number))
        continue
      lengths[i] = (lengths[j] as number) + 1
      before[i] = j
    }
    if (last < 0 || (lengths[i] as number) > (lengths[last] as number)) last = i
  }
  const kept = new Set<number>()
  for (let at = last; at >= 0; at = before[at] as number) kept.add(at)
  return values.map((_, i) => i).filter((i) => !kept.has(i))
}

/** Which row stands for which leaf; null for none. */
function placeRows(
  sheet: RowSheet,
  rows: readonly number[],
  block: Block,
  findings: Finding[],
): (number | null)[] {
  const indexOf = (row: number): bigint => sheet.leafIndexes[row] as bigint
  if (rows.length === block.count) {
    const wrong = rows.filter((row, position) => indexOf(row) !== block.base + BigInt(position))
    if (wrong.length === 0) return [...rows]
    const exchanged = byIndex(sheet, rows, block)
    if (exchanged !== null) return reordered(sheet, exchanged, rows, block, findings)
    if (fits(sheet, rows, block)) return renumbered(sheet, rows, block, findings)
  }
  return place(sheet, rows, block, findings)
}

/** Rows by the leaf index that they carry, when each leaf has exactly one. */
function byIndex(sheet: RowSheet, rows: readonly number[], block: Block): number[] | null {
  const slots: number[] = []
  for (const row of rows) {
    const position = Number((sheet.leafIndexes[row] as bigint) - block.base)
    if (position < 0 || position >= block.count || slots[position] !== undefined) return null
    slots[position] = row
  }
  return slots
}

/** Each index is there once, but the offsets are not in their order. */
function reordered(
  sheet: RowSheet,
  slots: number[],
  rows: readonly number[],
  block: Block,
  findings: Finding[],
): number[] {
  const count = slots.filter((row, position) => row !== rows[position]).length
  const first = slots.findIndex((row, position) => row !== rows[position])
  const row = slots[first] as number
  findings.push(
    at(
      sheet,
      row,
      'reordered',
      block.base + BigInt(first),
      `the order of the offsets is not that of the leaves: ${count} rows stand in each other's place`,
      { count: BigInt(count), column: 'offset' },
    ),
  )
  return slots
}

function renumbered(sheet: RowSheet, rows: readonly number[], block: Block, findings: Finding[]): number[] {
  rows.forEach((row, position) => {
    const leaf = block.base + BigInt(position)
    if (sheet.leafIndexes[row] === leaf) return
    const detail = 'the row has another leaf index than its place in the log'
    findings.push(at(sheet, row, 'altered-column', leaf, detail, { column: 'leaf_index' }))
  })
  return [...rows]
}

/** Whether the rows, in the order of their offsets, hash to what the block must have. */
function fits(sheet: RowSheet, rows: readonly number[], { reference, count }: Block): boolean {
  if (rows.length !== count) return false
  if (reference === null) return true
  const leaves = (column: readonly Hash[]) => subtreesOf(rows.map((row) => column[row] as Hash))
  return sameFrontier(leaves(sheet.stored), reference) || sameFrontier(leaves(sheet.computed), reference)
}

/** By leaf index, as far as it goes; what is left over was inserted, what is left out is missing. */
function place(
  sheet: RowSheet,
  rows: readonly number[],
  block: Block,
  findings: Finding[],
): (number | null)[] {
  const slots: (number | null)[] = Array.from({ length: block.count }, () => null)
  const extra: number[] = []
  for (const row of rows) {
    const position = Number((sheet.leafIndexes[row] as bigint) - block.base)
    if (position < 0 || position >= block.count) extra.push(row)
    else if (slots[position] === null) slots[position] = row
    else extra.push(row)
  }
  exchangeWrongOnes(sheet, slots, extra, block)
  adoptRenumbered(sheet, slots, extra, block, findings)
  for (const row of extra) {
    const detail = 'the log counts no such row'
    findings.push(at(sheet, row, 'inserted', sheet.leafIndexes[row] as bigint, detail))
  }
  findings.push(...missingRuns(sheet, slots, block))
  return slots
}

/** Of two rows for one leaf, the one with which the block hashes to what it must. */
function exchangeWrongOnes(sheet: RowSheet, slots: (number | null)[], extra: number[], block: Block): void {
  for (let i = 0; i < extra.length; i++) {
    const row = extra[i] as number
    const position = Number((sheet.leafIndexes[row] as bigint) - block.base)
    const holder = slots[position]
    if (holder === undefined || holder === null) continue
    if (
      fits(
        sheet,
        slots.filter((slot) => slot !== null),
        block,
      )
    )
      return
    slots[position] = row
    const better = fits(
      sheet,
      slots.filter((slot) => slot !== null),
      block,
    )
    const trusted =
      better || (!slots.every((slot) => slot !== null) && !isWhole(sheet, holder) && isWhole(sheet, row))
    if (trusted) extra[i] = holder
    else slots[position] = holder
  }
}

const isWhole = (sheet: RowSheet, row: number): boolean => sheet.computed[row] === sheet.stored[row]

/** A row whose index lies elsewhere, exactly in the place of a leaf that nobody stands for: its index was changed. */
function adoptRenumbered(
  sheet: RowSheet,
  slots: (number | null)[],
  extra: number[],
  block: Block,
  findings: Finding[],
): void {
  for (let i = extra.length - 1; i >= 0; i--) {
    const row = extra[i] as number
    const offset = sheet.offsets[row] as bigint
    const empty = slots.findIndex(
      (slot, position) => slot === null && liesBetween(sheet, slots, position, offset),
    )
    if (empty < 0) continue
    slots[empty] = row
    extra.splice(i, 1)
    const leaf = block.base + BigInt(empty)
    const detail = 'the row has another leaf index than its place in the log'
    findings.push(at(sheet, row, 'altered-column', leaf, detail, { column: 'leaf_index' }))
  }
}

function liesBetween(
  sheet: RowSheet,
  slots: readonly (number | null)[],
  position: number,
  offset: bigint,
): boolean {
  const before = slots.slice(0, position).findLast((slot) => slot !== null)
  const after = slots.slice(position + 1).find((slot) => slot !== null)
  if (before !== undefined && before !== null && (sheet.offsets[before] as bigint) >= offset) return false
  return after === undefined || after === null || (sheet.offsets[after] as bigint) > offset
}

function missingRuns(sheet: RowSheet, slots: readonly (number | null)[], block: Block): Finding[] {
  const runs: Finding[] = []
  for (let from = 0; from < slots.length; from++) {
    if (slots[from] !== null) continue
    let to = from
    while (to < slots.length && slots[to] === null) to++
    const before = from === 0 ? null : (slots[from - 1] ?? null)
    const end = before === null ? block.from : (sheet.ends[before] as bigint)
    runs.push(missing(block.base + BigInt(from), BigInt(to - from), end))
    from = to
  }
  return runs
}

export const missing = (leaf: bigint, count: bigint, offset: bigint): Finding => ({
  kind: 'missing',
  leafIndex: String(leaf),
  offset: null,
  count: String(count),
  detail: `no row stands for ${count === 1n ? 'the leaf' : `${count} leaves`}, at the offset ${offset} or behind it`,
})

/** Decides between the leaf that a row carries and the one that its bytes give; names what was altered. */
function settleLeaves(
  sheet: RowSheet,
  slots: readonly (number | null)[],
  block: Block,
  findings: Finding[],
  exchanged: boolean,
): (Hash | null)[] {
  const column = (hashes: readonly Hash[]) =>
    slots.map((row) => (row === null ? null : (hashes[row] as Hash)))
  const stored = column(sheet.stored)
  const computed = column(sheet.computed)
  const different = slots.flatMap((row, position) =>
    row !== null && sheet.computed[row] !== sheet.stored[row] ? [position] : [],
  )
  const proves = (leaves: readonly (Hash | null)[]): boolean =>
    block.reference !== null &&
    leaves.every((leaf): leaf is Hash => leaf !== null) &&
    sameFrontier(subtreesOf(leaves), block.reference)

  if (different.length === 2) {
    const [one = 0, two = 0] = different
    const crossed = stored.with(one, stored[two] ?? null).with(two, stored[one] ?? null)
    if (!proves(stored) && !proves(computed) && proves(crossed)) {
      nameExchanged(sheet, slots, block, { one, two }, findings)
      return crossed
    }
  }
  const hashAltered = different.length > 0 && !proves(stored) && proves(computed)
  // A leaf holds its offset: rows with each other's offset have been named, and nothing else is wrong with them.
  const isNamed = (row: number): boolean => exchanged && proves(stored) && sheet.differences[row] === null
  slots.forEach((row, position) => {
    if (row !== null && !isNamed(row))
      findings.push(...nameRow(sheet, row, block.base + BigInt(position), hashAltered))
  })
  return hashAltered ? computed : stored
}

function nameExchanged(
  sheet: RowSheet,
  slots: readonly (number | null)[],
  block: Block,
  { one, two }: { readonly one: number; readonly two: number },
  findings: Finding[],
): void {
  const row = slots[one]
  if (row === null || row === undefined) return
  const other = slots[two]
  const where = other === null || other === undefined ? '' : ` at the offset ${sheet.offsets[other]}`
  const detail = `the row and the one${where} stand in each other's place`
  findings.push(at(sheet, row, 'reordered', block.base + BigInt(one), detail, { count: 2n }))
}

/** What of a row does not follow from its bytes, or its bytes from its leaf. */
function nameRow(sheet: RowSheet, row: number, leaf: bigint, hashAltered: boolean): Finding[] {
  const difference = sheet.differences[row] ?? null
  if (isWhole(sheet, row)) {
    if (difference === null) return []
    const detail = 'the column does not follow from the bytes, which are those of the leaf'
    return [at(sheet, row, 'altered-column', leaf, detail, { column: difference })]
  }
  if (hashAltered) {
    const detail = 'the bytes give the leaf that the tree has, the column another one'
    const column = difference === null ? 'leaf_hash' : `leaf_hash, ${difference}`
    return [at(sheet, row, 'altered-column', leaf, detail, { column })]
  }
  return [at(sheet, row, 'altered-bytes', leaf, bytesDetail(difference))]
}

const bytesDetail = (difference: string | null): string =>
  difference === null
    ? 'the bytes are not those of the leaf: the columns still follow from the value, so key, headers, offset or kafka_timestamp'
    : `the bytes are not those of the leaf, and ${difference} does not follow from them: the value`

/** Ingestion time never decreases along a log and lies within its life. */
function checkTimes(
  sheet: RowSheet,
  slots: readonly (number | null)[],
  block: Block,
  findings: Finding[],
): void {
  const named = new Set(
    findings.filter(({ column }) => column === 'ingested_at').map(({ leafIndex }) => leafIndex),
  )
  const rows = slots.flatMap((row, position) => (row === null ? [] : [{ row, position }]))
  let latest = block.earliestMs
  rows.forEach(({ row, position }, i) => {
    const time = sheet.ingestedMs[row] as number
    const next = rows[i + 1]
    const nextTime = next === undefined ? block.latestMs : (sheet.ingestedMs[next.row] as number)
    // One that lies above its successor, though that is no earlier than what came before, was moved itself.
    const ahead = time > block.latestMs || (time > nextTime && nextTime >= latest)
    const fine = time >= latest && !ahead && Number.isInteger(time)
    if (fine) latest = time
    const leaf = block.base + BigInt(position)
    if (fine || named.has(String(leaf))) return
    const detail = 'the ingestion time is not between those of its neighbours'
    findings.push(at(sheet, row, 'altered-column', leaf, detail, { column: 'ingested_at' }))
  })
}
