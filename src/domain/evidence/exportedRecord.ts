/**
 * A leaf of a log with every byte that it is computed from, as one line of canonical JSON (docs/evidence.md): what an
 * auditor gets in hand, and what an archive keeps.
 */
import { canonicalize } from '../canonicalJson.ts'
import { hashFromHex, hashToHex } from '../hash.ts'
import { gapLeaf, recordLeaf, undecodableLeaf } from '../leaf.ts'
import { type Hash, type Offset, offset, type SourceRecords } from '../model.ts'
import { type Finding, holds, unverified } from './finding.ts'
import { RECORD_FORMAT, type RecordLine, recordLine } from './recordLine.ts'

/** A record as Kafka holds it. */
export interface PlainRecord {
  readonly kind: 'record'
  readonly offset: Offset
  /** ms since the epoch; −1 when the record has none. */
  readonly timestamp: bigint
  readonly key: Buffer | null
  /** Kafka's record encoding, count included. */
  readonly headers: Buffer
  readonly value: Buffer | null
}

/** Offsets [from, to) that Kafka no longer had. */
export interface PlainGap {
  readonly kind: 'gap'
  readonly from: Offset
  readonly to: Offset
}

/** A record batch that could not be opened. */
export interface PlainBatch {
  readonly kind: 'batch'
  readonly firstOffset: Offset
  readonly lastOffset: Offset
  /** The batch's maximum, ms since the epoch; −1 when it has none. */
  readonly timestamp: bigint
  readonly bytes: Buffer
}

export type LeafContent = PlainRecord | PlainGap | PlainBatch

export interface ExportedRecord {
  /** Of the log: the first line of its checkpoints. */
  readonly origin: string
  readonly leafIndex: bigint
  readonly content: LeafContent
  /** Of a dead letter. The log says so; no leaf covers it. */
  readonly deadLetter?: { readonly code: string; readonly detail: string }
  /** ms since the epoch. The log says so; no leaf covers it. */
  readonly ingestedAt?: number
}

/** Throws RangeError for a gap without offsets. */
export function leafOf(content: LeafContent): Hash {
  switch (content.kind) {
    case 'record':
      return recordLeaf(singleRecord(content), 0)
    case 'gap':
      return gapLeaf(content.from, content.to)
    case 'batch':
      return undecodableLeaf({ ...content, detail: '' })
    default:
      return content satisfies never
  }
}

/** The record as ingest has it, alone. */
export function singleRecord({ key, headers, value, ...record }: PlainRecord): SourceRecords {
  const keyEnd = key?.length ?? 0
  const headersEnd = keyEnd + headers.length
  const at = (position: number, bytes: Buffer | null) => Int32Array.of(bytes === null ? -1 : position)
  return {
    bytes: Buffer.concat([key ?? Buffer.alloc(0), headers, value ?? Buffer.alloc(0)]),
    count: 1,
    offsets: BigInt64Array.of(record.offset),
    timestamps: BigInt64Array.of(record.timestamp),
    keyStarts: at(0, key),
    keyEnds: at(keyEnd, key),
    headerStarts: at(keyEnd, headers),
    headerEnds: at(headersEnd, headers),
    valueStarts: at(headersEnd, value),
    valueEnds: at(headersEnd + (value?.length ?? 0), value),
  }
}

/** The line, without a newline. */
export function formatExportedRecord(record: ExportedRecord): string {
  const { origin, leafIndex, content, deadLetter, ingestedAt } = record
  return canonicalize({
    format: RECORD_FORMAT,
    origin,
    leafIndex: `${leafIndex}`,
    leaf: hashToHex(leafOf(content)),
    ...writeContent(content),
    ...(deadLetter !== undefined && { deadLetter: { ...deadLetter } }),
    ...(ingestedAt !== undefined && { ingestedAt }),
  })
}

const toBase64 = (bytes: Buffer | null): string | null => bytes?.toString('base64') ?? null

function writeContent(content: LeafContent): Readonly<Record<string, unknown>> {
  const { kind } = content
  switch (kind) {
    case 'record': {
      const { key, headers, value } = content
      const numbers = { offset: `${content.offset}`, timestamp: `${content.timestamp}` }
      return { kind, ...numbers, key: toBase64(key), headers: toBase64(headers), value: toBase64(value) }
    }
    case 'gap':
      return { kind, from: `${content.from}`, to: `${content.to}` }
    case 'batch': {
      const { firstOffset, lastOffset, timestamp, bytes } = content
      return {
        kind,
        firstOffset: `${firstOffset}`,
        lastOffset: `${lastOffset}`,
        timestamp: `${timestamp}`,
        bytes: toBase64(bytes),
      }
    }
    default:
      return kind satisfies never
  }
}

/** An exported record and the leaf that its bytes have. */
export interface ReadRecord extends ExportedRecord {
  readonly leaf: Hash
}

/**
 * Inverse of `formatExportedRecord`. The leaf is computed from the bytes: UNVERIFIED when the line names another one.
 * MALFORMED when it lacks a member, has one too many, or is not in canonical form.
 */
export function parseExportedRecord(line: string): Finding<ReadRecord> {
  const parsed = recordLine(line)
  if (!parsed.ok) return parsed
  const { origin, leafIndex, deadLetter, ingestedAt } = parsed.value
  const content = readContent(parsed.value)
  const leaf = leafOf(content)
  if (leaf !== hashFromHex(parsed.value.leaf))
    return unverified(`the bytes of the record have the leaf ${hashToHex(leaf)}, not the one beside them`)
  return holds({
    origin,
    leafIndex,
    content,
    leaf,
    ...(deadLetter !== undefined && { deadLetter }),
    ...(ingestedAt !== undefined && { ingestedAt }),
  })
}

function readContent(line: RecordLine): LeafContent {
  const { kind } = line
  switch (kind) {
    case 'record': {
      const { timestamp, key, headers, value } = line
      return { kind, offset: offset(line.offset), timestamp, key, headers, value }
    }
    case 'gap':
      return { kind, from: offset(line.from), to: offset(line.to) }
    case 'batch': {
      const { firstOffset, lastOffset, timestamp, bytes } = line
      return { kind, firstOffset: offset(firstOffset), lastOffset: offset(lastOffset), timestamp, bytes }
    }
    default:
      return kind satisfies never
  }
}
