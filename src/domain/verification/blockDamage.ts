/** What happened to a block of leaves whose rows are not what they should be. Only damaged logs come here. */
import type { Hash } from '../model.ts'
import { type Block, sameFrontier, subtreesOf } from './block.ts'
import { at, isWhole, placeRows } from './blockRows.ts'
import { type Finding, inLogOrder } from './finding.ts'
import type { RowSheet } from './rowSheet.ts'

export interface BlockFindings {
  readonly findings: readonly Finding[]
  /** Leaf by leaf as they must have been, as far as can be told; null for those of missing rows. */
  readonly leaves: readonly (Hash | null)[]
}

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

/** Decides between the leaf that a row carries and the one that its bytes give; names what was altered. */
function settleLeaves(
  sheet: RowSheet,
  slots: readonly (number | null)[],
  block: Block,
  findings: Finding[],
  exchanged: boolean,
): (Hash | null)[] {
  const column = (hashes: readonly Hash[]) =>
    slots.map((row, place) =>
      row === null ? (block.away?.places.get(place) ?? null) : (hashes[row] as Hash),
    )
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
