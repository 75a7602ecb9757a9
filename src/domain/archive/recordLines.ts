/** Exported records as they are read by the million: a line that is written again exactly as it stands is what it says. */
import { CanonicalJsonError } from '../canonicalJson.ts'
import {
  type ExportedRecord,
  formatExportedRecord,
  type LeafContent,
  parseExportedRecord,
  type ReadRecord,
} from '../evidence/exportedRecord.ts'
import { type Finding, holds } from '../evidence/finding.ts'
import { isOverfull } from '../evidence/recordLine.ts'
import { hashFromHex } from '../hash.ts'
import { offset } from '../model.ts'

/**
 * Like `parseExportedRecord`, at a third of its cost: what the line seems to say is written down again, leaf and all, and the
 * two lines compared. Where they differ, `parseExportedRecord` has the word.
 */
export function readRecordLine(line: string): Finding<ReadRecord> {
  const guessed = isOverfull(line) ? null : guess(line)
  if (guessed === null) return parseExportedRecord(line)
  return isWrittenAs(guessed.record, line)
    ? holds({ ...guessed.record, leaf: hashFromHex(guessed.leaf) })
    : parseExportedRecord(line)
}

function isWrittenAs(record: ExportedRecord, line: string): boolean {
  try {
    return formatExportedRecord(record) === line
  } catch (error) {
    // Half a character, or a gap without offsets.
    if (error instanceof CanonicalJsonError || error instanceof RangeError) return false
    throw error
  }
}

interface Guess {
  readonly record: ExportedRecord
  readonly leaf: string
}

type Members = Readonly<Record<string, unknown>>

function guess(line: string): Guess | null {
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value !== 'object' || value === null) return null
    const members = value as Members
    const content = contentOf(members)
    const { origin, leafIndex, leaf, deadLetter, ingestedAt } = members
    if (content === null || typeof origin !== 'string' || typeof leaf !== 'string') return null
    if (ingestedAt !== undefined && !Number.isSafeInteger(ingestedAt)) return null
    const code = codeOf(deadLetter)
    if (code === null || !isText(leafIndex) || origin === '' || !/^[0-9a-f]{64}$/.test(leaf)) return null
    const record: ExportedRecord = {
      origin,
      leafIndex: BigInt(leafIndex),
      content,
      ...(code !== undefined && { deadLetter: code }),
      ...(ingestedAt !== undefined && { ingestedAt: ingestedAt as number }),
    }
    return isPlausible(record) ? { record, leaf } : null
  } catch (error) {
    // Of JSON and of numbers; the slow reader says what is wrong.
    if (error instanceof SyntaxError || error instanceof RangeError) return null
    throw error
  }
}

const MAX_INT64 = 2n ** 63n - 1n
const inRange = (value: bigint): boolean => value >= 0n && value <= MAX_INT64

/** What the written line alone would not show: numbers beyond 64 bits, and names beyond their limits. */
function isPlausible({ origin, leafIndex, content, deadLetter }: ExportedRecord): boolean {
  if (!inRange(leafIndex) || /\p{Cc}/u.test(origin)) return false
  if (deadLetter !== undefined && !/^[A-Z][A-Z0-9_]{0,63}$/.test(deadLetter.code)) return false
  if (deadLetter !== undefined && deadLetter.detail.length > 1_000) return false
  if (content.kind === 'gap') return deadLetter === undefined && inRange(content.from) && inRange(content.to)
  if (content.timestamp > MAX_INT64 || content.timestamp < -MAX_INT64 - 1n) return false
  if (content.kind === 'record') return inRange(content.offset)
  return (
    inRange(content.firstOffset) && inRange(content.lastOffset) && content.firstOffset <= content.lastOffset
  )
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== ''

function codeOf(value: unknown): { readonly code: string; readonly detail: string } | undefined | null {
  if (value === undefined) return undefined
  if (typeof value !== 'object' || value === null) return null
  const { code, detail, ...more } = value as Members
  if (typeof code !== 'string' || typeof detail !== 'string' || Object.keys(more).length > 0) return null
  return { code, detail }
}

const bytesOf = (value: unknown): Buffer | null =>
  typeof value === 'string' ? Buffer.from(value, 'base64') : null

function contentOf(members: Members): LeafContent | null {
  const { kind, timestamp } = members
  if (kind === 'record') {
    const headers = bytesOf(members['headers'])
    if (!isText(members['offset']) || !isText(timestamp) || headers === null) return null
    return {
      kind,
      offset: offset(BigInt(members['offset'])),
      timestamp: BigInt(timestamp),
      key: bytesOf(members['key']),
      headers,
      value: bytesOf(members['value']),
    }
  }
  if (kind === 'gap') {
    const { from, to } = members
    if (!isText(from) || !isText(to)) return null
    return { kind, from: offset(BigInt(from)), to: offset(BigInt(to)) }
  }
  const { firstOffset, lastOffset } = members
  const bytes = bytesOf(members['bytes'])
  if (kind !== 'batch' || bytes === null || !isText(firstOffset) || !isText(lastOffset) || !isText(timestamp))
    return null
  return {
    kind,
    firstOffset: offset(BigInt(firstOffset)),
    lastOffset: offset(BigInt(lastOffset)),
    timestamp: BigInt(timestamp),
    bytes,
  }
}
