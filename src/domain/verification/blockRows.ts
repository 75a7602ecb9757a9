/** Which rows stand for the leaves of a block that is not what it should be. */
import type { Hash } from '../model.ts'
import { type Block, sameFrontier, subtreesOf } from './block.ts'
import { chooseRows } from './contestedLeaves.ts'
import type { Finding } from './finding.ts'
import type { RowSheet } from './rowSheet.ts'

interface About {
  readonly column?: string
  readonly count?: bigint
}

export function at(
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

/** Which row stands for which leaf; null for none. */
export function placeRows(
  sheet: RowSheet,
  rows: readonly number[],
  block: Block,
  findings: Finding[],
): (number | null)[] {
  const indexOf = (row: number): bigint => sheet.leafIndexes[row] as bigint
  if (rows.length === block.count && block.away === null) {
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

/**
 * By leaf index, as far as it goes; what is left over was inserted, what is left out is missing. Of several rows for one
 * leaf those are taken with which the block hashes to what it must; when none do, nobody is called a stranger.
 */
function place(
  sheet: RowSheet,
  rows: readonly number[],
  block: Block,
  findings: Finding[],
): (number | null)[] {
  const claims: number[][] = Array.from({ length: block.count }, () => [])
  const extra: number[] = []
  const isAway = (position: number): boolean => block.away?.places.has(position) ?? false
  for (const row of rows) {
    const position = Number((sheet.leafIndexes[row] as bigint) - block.base)
    const claimed = claims[position]
    if (claimed === undefined || isAway(position)) extra.push(row)
    else claimed.push(row)
  }
  adoptRenumbered(sheet, claims, extra, block, findings)
  const chosen = chooseRows(sheet, claims, block)
  claims.forEach((claimed, position) => {
    const row = chosen[position] ?? null
    if (row !== null) extra.push(...claimed.filter((other) => other !== row))
    else if (claimed.length > 0) findings.push(contested(sheet, claimed, block.base + BigInt(position)))
  })
  for (const row of extra) {
    const detail = 'the log counts no such row'
    findings.push(at(sheet, row, 'inserted', sheet.leafIndexes[row] as bigint, detail))
  }
  findings.push(...missingRuns(sheet, claims, block))
  return chosen
}

/** How many offsets a finding names; it is for people. */
const MAX_NAMED = 5

function contested(sheet: RowSheet, claimed: readonly number[], leaf: bigint): Finding {
  const named = claimed.slice(0, MAX_NAMED).map((row) => String(sheet.offsets[row]))
  const more = claimed.length > MAX_NAMED ? `, and ${claimed.length - MAX_NAMED} more` : ''
  return {
    kind: 'contested',
    leafIndex: String(leaf),
    offset: null,
    count: '1',
    detail: `rows at the offsets ${named.join(' and ')}${more} claim the leaf, and nothing that is stored tells which is the log's`,
  }
}

export const isWhole = (sheet: RowSheet, row: number): boolean => sheet.computed[row] === sheet.stored[row]

/** A row whose index lies elsewhere, exactly in the place of a leaf that nobody stands for: its index was changed. */
function adoptRenumbered(
  sheet: RowSheet,
  claims: number[][],
  extra: number[],
  block: Block,
  findings: Finding[],
): void {
  for (let i = extra.length - 1; i >= 0; i--) {
    const row = extra[i] as number
    const offset = sheet.offsets[row] as bigint
    const empty = claims.findIndex(
      (claimed, position) =>
        claimed.length === 0 &&
        !(block.away?.places.has(position) ?? false) &&
        liesBetween(sheet, claims, position, offset),
    )
    if (empty < 0) continue
    claims[empty] = [row]
    extra.splice(i, 1)
    const leaf = block.base + BigInt(empty)
    const detail = 'the row has another leaf index than its place in the log'
    findings.push(at(sheet, row, 'altered-column', leaf, detail, { column: 'leaf_index' }))
  }
}

/** Claims are in the order of offsets. */
function liesBetween(
  sheet: RowSheet,
  claims: readonly (readonly number[])[],
  position: number,
  offset: bigint,
): boolean {
  const before = claims.slice(0, position).findLast((claimed) => claimed.length > 0)?.[0]
  const after = claims
    .slice(position + 1)
    .find((claimed) => claimed.length > 0)
    ?.at(-1)
  if (before !== undefined && (sheet.offsets[before] as bigint) >= offset) return false
  return after === undefined || (sheet.offsets[after] as bigint) > offset
}

function missingRuns(sheet: RowSheet, claims: readonly (readonly number[])[], block: Block): Finding[] {
  const runs: Finding[] = []
  const isMissing = (position: number): boolean =>
    claims[position]?.length === 0 && !(block.away?.places.has(position) ?? false)
  for (let from = 0; from < claims.length; from++) {
    if (!isMissing(from)) continue
    let to = from
    while (to < claims.length && isMissing(to)) to++
    const before = from === 0 ? undefined : claims[from - 1]?.at(-1)
    const end = before === undefined ? block.from : (sheet.ends[before] as bigint)
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
