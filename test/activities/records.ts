/** What a replay must have left on its target, computed from what was logged. */
import { hashToHex } from '../../src/domain/hash.ts'
import { encodeHeaders, type NewHeader, readHeaders } from '../../src/domain/headers.ts'
import { recordLeaf } from '../../src/domain/leaf.ts'
import { appendLeaves, emptyFrontier, rootOf } from '../../src/domain/merkle.ts'
import { leafIndex } from '../../src/domain/model.ts'
import type { plainRecords } from '../kafka/records.ts'
import { accepted, type RecordSpec, sourceRecords } from '../store/entries.ts'

export type Found = ReturnType<typeof plainRecords>[number]

export interface Origin {
  readonly replayId: string
  readonly topic: string
  readonly partition: number
}

/** The headers that a replay adds, behind those that the event had. */
export function expectedHeaders(origin: Origin, spec: RecordSpec): Buffer {
  const event = accepted(spec.offset)
  const added: NewHeader[] = [
    ['replay-id', Buffer.from(origin.replayId)],
    ['replay-source-topic', Buffer.from(origin.topic)],
    ['replay-source-partition', Buffer.from(String(origin.partition))],
    ['replay-source-offset', Buffer.from(String(spec.offset))],
    ['replay-event-hash', Buffer.from(event.kind === 'event' ? hashToHex(event.contentHash) : '')],
  ]
  const names = new Set(added.map(([name]) => name))
  const stored = spec.headers === undefined ? [] : readHeaders(spec.headers)
  const kept = stored.filter(({ key }) => !names.has(key)).map(({ key, value }): NewHeader => [key, value])
  return encodeHeaders([...kept, ...added])
}

/** Numbers that must all be 0, and how many records were there. */
export function compare(found: readonly Found[], specs: readonly RecordSpec[], origin: Origin) {
  const same = (left: Buffer | null | undefined, right: Buffer | null | undefined): boolean =>
    left && right ? left.equals(right) : (left ?? null) === (right ?? null)
  let different = 0
  specs.forEach((spec, index) => {
    const record = found[index]
    const equal =
      record !== undefined &&
      record.timestamp === (spec.timestamp ?? 0n) &&
      same(record.key, spec.key) &&
      same(record.value, spec.value) &&
      same(record.headers, expectedHeaders(origin, spec))
    if (!equal) different++
  })
  return { found: found.length, missing: Math.max(0, specs.length - found.length), different }
}

export const perfect = (count: number) => ({ found: count, missing: 0, different: 0 })

/** RFC 6962 root over the leaves of these events, 64 hex digits. */
export function rootOfSpecs(specs: readonly RecordSpec[]): string {
  const records = sourceRecords(specs)
  const leaves = specs.map((_, index) => recordLeaf(records, index))
  const tree = appendLeaves({ size: leafIndex(0n), frontier: emptyFrontier }, leaves)
  return hashToHex(rootOf(tree.frontier, tree.size))
}
