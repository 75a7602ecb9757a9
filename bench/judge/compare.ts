import { digestText, type RecordDigest } from './digest.ts'
import type { Part, RecordTable } from './table.ts'

/** A record as a reader saw it on a topic. */
export interface SeenRecord extends RecordDigest {
  readonly partition: number
  readonly offset: number
  /** What the headers of the replay say it is a copy of; −1 where they say nothing. */
  readonly sourcePartition: number
  readonly sourceOffset: number
  /** What else the headers of the replay say, as digestText; 0 where they say nothing. */
  readonly replay: bigint
  readonly sourceTopic: bigint
  readonly eventHash: bigint
}

/** The part of one source partition that a replay must have produced. */
export interface CopiedRange {
  readonly from: number
  /** Exclusive. */
  readonly to: number
}

export interface Verdict {
  /** Records seen on the target. */
  readonly records: number
  readonly missing: number
  readonly doubled: number
  readonly outOfOrder: number
  readonly bytesDiffering: number
  /** Which parts differed; one record can count in several. */
  readonly differing: Readonly<Record<Part | 'origin', number>>
  /** On another partition than the source record's; nothing is said about their order. */
  readonly misplaced: number
  /** Copies of nothing that was accepted. */
  readonly foreign: number
  /** The first few findings in words. */
  readonly examples: readonly string[]
}

const mostExamples = 10

export interface ComparisonOptions {
  /** By source partition: what must be there and nothing else; everything when left out. */
  readonly ranges?: readonly CopiedRange[] | undefined
  /** What the headers must name; not looked at when left out. */
  readonly sourceTopic?: string
}

/** Holds what is on the target against what must be there. Feed it the target's records, per partition in order. */
export class Comparison {
  readonly #tables: readonly RecordTable[]
  readonly #ranges: readonly CopiedRange[] | null
  readonly #sourceTopic: bigint | null
  readonly #seen: readonly Uint8Array[]
  readonly #lastRow: number[]
  readonly #counts = { records: 0, doubled: 0, outOfOrder: 0, bytesDiffering: 0, misplaced: 0, foreign: 0 }
  readonly #differing = { timestamp: 0, key: 0, headers: 0, value: 0, origin: 0 }
  readonly #examples: string[] = []
  #byContent: Map<string, Place[]> | undefined

  constructor(tables: readonly RecordTable[], { ranges, sourceTopic }: ComparisonOptions = {}) {
    this.#tables = tables
    this.#ranges = ranges ?? null
    this.#sourceTopic = sourceTopic === undefined ? null : digestText(sourceTopic)
    this.#seen = tables.map((table) => new Uint8Array(table.size))
    this.#lastRow = tables.map(() => -1)
  }

  add(record: SeenRecord): void {
    this.#counts.records++
    const place = this.#placeOf(record)
    if (place === null) {
      this.#counts.foreign++
      this.#note(record, 'is a copy of nothing that was accepted')
      return
    }
    const { partition, row } = place
    const seen = this.#seen[partition]
    if (seen === undefined || seen[row] === 1) {
      this.#counts.doubled++
      this.#note(record, 'is there twice')
      return
    }
    seen[row] = 1
    this.#compare(record, place)
    if (record.partition !== partition) {
      this.#counts.misplaced++
      this.#note(record, `belongs on partition ${partition}`)
    } else if (row < (this.#lastRow[partition] ?? -1)) {
      this.#counts.outOfOrder++
      this.#note(record, 'comes too late')
    } else this.#lastRow[partition] = row
  }

  verdict(): Verdict {
    let missing = 0
    this.#tables.forEach((table, partition) => {
      for (let row = 0; row < table.size; row++) {
        if (!this.#isExpected(partition, row) || this.#seen[partition]?.[row] === 1) continue
        missing++
        this.#say(`the copy of ${partition}/${table.offsetAt(row)} is missing`)
      }
    })
    return { ...this.#counts, missing, differing: this.#differing, examples: this.#examples }
  }

  #compare(record: SeenRecord, place: Place): void {
    const { partition, row } = place
    const parts: (Part | 'origin')[] = this.#tables[partition]?.differences(row, record) ?? []
    if (!this.#originFits(record, place)) parts.push('origin')
    if (parts.length === 0) return
    this.#counts.bytesDiffering++
    for (const part of parts) this.#differing[part]++
    this.#note(record, `differs in ${parts.join(', ')}`)
  }

  /** What the headers say of topic and content hash, where they say anything and it is known what they must say. */
  #originFits({ sourceTopic, eventHash }: SeenRecord, { partition, row }: Place): boolean {
    if (this.#sourceTopic !== null && sourceTopic !== this.#sourceTopic) return false
    const expected = this.#tables[partition]?.contentHashAt(row) ?? null
    return expected === null || eventHash === expected
  }

  /** By the replay's headers; where there are none, by content, the first copy not seen yet. */
  #placeOf(record: SeenRecord): Place | null {
    if (record.sourcePartition < 0 && record.sourceOffset < 0) return this.#placeByContent(record)
    const table = this.#tables[record.sourcePartition]
    const row = table?.find(record.sourceOffset) ?? -1
    const expected = row >= 0 && this.#isExpected(record.sourcePartition, row)
    return expected ? { partition: record.sourcePartition, row } : null
  }

  #isExpected(partition: number, row: number): boolean {
    const table = this.#tables[partition]
    if (table?.isAccepted(row) !== true) return false
    if (this.#ranges === null) return true
    const range = this.#ranges[partition]
    const offset = table.offsetAt(row)
    return range !== undefined && offset >= range.from && offset < range.to
  }

  #placeByContent(record: SeenRecord): Place | null {
    this.#byContent ??= indexByContent(this.#tables, (partition, row) => this.#isExpected(partition, row))
    const places = this.#byContent.get(contentKey(record)) ?? []
    return places.find(({ partition, row }) => this.#seen[partition]?.[row] !== 1) ?? places[0] ?? null
  }

  #note({ partition, offset, sourcePartition, sourceOffset }: SeenRecord, what: string): void {
    this.#say(`target ${partition}/${offset} (source ${sourcePartition}/${sourceOffset}) ${what}`)
  }

  #say(finding: string): void {
    if (this.#examples.length < mostExamples) this.#examples.push(finding)
  }
}

interface Place {
  readonly partition: number
  readonly row: number
}

const contentKey = ({ timestamp, key, headers, value }: RecordDigest): string =>
  `${timestamp} ${key} ${headers} ${value}`

function indexByContent(
  tables: readonly RecordTable[],
  isExpected: (partition: number, row: number) => boolean,
): Map<string, Place[]> {
  const index = new Map<string, Place[]>()
  tables.forEach((table, partition) => {
    for (let row = 0; row < table.size; row++) {
      if (!isExpected(partition, row)) continue
      const content = contentKey(table.digestAt(row))
      const places = index.get(content)
      if (places === undefined) index.set(content, [{ partition, row }])
      else places.push({ partition, row })
    }
  })
  return index
}

/** True when the target holds exactly what it must. */
export const isClean = (verdict: Verdict): boolean =>
  verdict.missing === 0 &&
  verdict.doubled === 0 &&
  verdict.outOfOrder === 0 &&
  verdict.bytesDiffering === 0 &&
  verdict.misplaced === 0 &&
  verdict.foreign === 0
