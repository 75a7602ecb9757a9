/** Archives (src/store, src/places). */
import type { ArchivedCheckpoint } from '../domain/archive/checkpointLine.ts'
import type { HoldRequest, HoldView } from '../domain/archive/hold.ts'
import type { Frontier, Hash, LeafIndex, LogId, LogIdentity, Offset } from '../domain/model.ts'
import type { ServiceError } from '../errors.ts'
import type { Page } from './replays.ts'

/** A part of a log: leaves [fromLeaf, toLeaf), which are those with offsets in [fromOffset, toOffset). */
export interface LeafRange {
  readonly fromLeaf: LeafIndex
  readonly toLeaf: LeafIndex
  readonly fromOffset: Offset
  readonly toOffset: Offset
}

export interface ArchivedLog extends LeafRange {
  readonly logId: LogId
  /** Of the log's first `toLeaf` leaves. */
  readonly rootHash: Hash
}

export const archiveFileKinds = ['leaves', 'checkpoints'] as const
export type ArchiveFileKind = (typeof archiveFileKinds)[number]

export interface ArchivedFile extends LeafRange {
  readonly kind: ArchiveFileKind
  readonly ordinal: number
  readonly lines: number
  readonly name: string
  readonly bytes: number
  readonly unpackedBytes: number
  readonly sha256: Hash
}

export interface NewArchive {
  readonly id: string
  readonly workflowId: string
  readonly request: unknown
  /** Address of its place; of older ones, which lie in a bucket, only the name. */
  readonly place: string
  readonly createdBy: string
  readonly logs: readonly ArchivedLog[]
}

export interface ArchiveRecord extends Omit<NewArchive, 'logs'> {
  readonly createdAt: Date
  /** Newest checkpoint when it was planned: of later ones only that which was made for it is in it. */
  readonly checkpointSequence: bigint
  /** All of them; none in lists. */
  readonly logs: readonly (ArchivedLog & {
    readonly identity: LogIdentity
    readonly incarnation: number
    readonly startOffset: Offset
    readonly written: bigint
  })[]
  readonly totals: {
    readonly logs: number
    readonly leaves: bigint
    readonly written: bigint
    readonly files: number
    readonly bytes: bigint
  }
  /** Null while it runs. */
  readonly result: {
    readonly status: 'verified' | 'cancelled' | 'failed'
    readonly manifestHash: Hash | null
    readonly finishedAt: Date
    readonly error: { readonly code: string; readonly detail: string } | null
  } | null
}

export type NewArchiveResult =
  | { readonly status: 'verified'; readonly manifestHash: Hash }
  | { readonly status: 'cancelled' | 'failed'; readonly code: string; readonly detail: string }

export interface ArchiveStore {
  /** Stores once: the same id again returns what is stored. */
  insertArchive(archive: NewArchive): Promise<ArchiveRecord>
  getArchive(id: string): Promise<ArchiveRecord | null>
  listArchives(query: { cursor?: string; limit: number }): Promise<Page<ArchiveRecord>>
  /** Each once; a second word on the same changes nothing. */
  insertFile(id: string, logId: LogId, file: ArchivedFile): Promise<void>
  lastFile(id: string, logId: LogId, kind: ArchiveFileKind): Promise<ArchivedFile | null>
  filesOf(id: string, logId: LogId, kind: ArchiveFileKind): Promise<readonly ArchivedFile[]>
  /** The first one stays. */
  insertResult(id: string, result: NewArchiveResult): Promise<void>
  /** All leaves that are still there: from behind those that went away with detached days. Throws DETACHED. */
  leavesLeft(logId: LogId): Promise<LeafRange>
  /** What of a part of the log went away with a detached day, as an error to throw; null when nothing did. */
  detachedIn(logId: LogId, range: Pick<LeafRange, 'fromLeaf' | 'toLeaf'>): Promise<ServiceError | null>
  /** Leaves of the log ingested in [fromMs, toMs); null: no bound. Throws DETACHED. */
  leavesBetween(logId: LogId, fromMs: number | null, toMs: number | null): Promise<LeafRange>
  /** Those of an asked-for range that the log has. Throws DETACHED. */
  leavesOf(logId: LogId, fromLeaf: LeafIndex, toLeaf: LeafIndex): Promise<LeafRange>
  /** Of the last of the first `size` leaves, ms since the epoch; of none: when the log was opened. Throws LOG_DAMAGED. */
  ingestedAt(logId: LogId, size: LeafIndex): Promise<number>
  /** Compact range of the first `size` leaves. Throws LOG_DAMAGED. */
  frontierAt(logId: LogId, size: LeafIndex): Promise<Frontier>
  /** Over `upTo` leaves at most, made up to `sequence`, and the one with the id; by size, then id, from behind `after`. */
  checkpointsOf(
    logId: LogId,
    range: { readonly upTo: bigint; readonly sequence: bigint; readonly id: string | null },
    after: { readonly size: bigint; readonly id: string } | null,
    limit: number,
  ): Promise<readonly ArchivedCheckpoint[]>
  /** ms since the epoch. */
  logCreatedAt(logId: LogId): Promise<number>
  /** Newest migration. */
  schemaVersion(): Promise<string>
}

export interface HoldStore {
  /** Adds a word on the subject: set or lifted. Throws HOLD_UNCHANGED. */
  putHold(request: HoldRequest, held: boolean, createdBy: string): Promise<HoldView>
  /** Of every subject its newest word; those that are held first. */
  listHolds(): Promise<readonly HoldView[]>
}

/** Something that was put under a name and is still held. */
export interface PlacedVersion {
  /** As the place calls it. */
  readonly id: string
  readonly bytes: number
  /** What `get` gives; where there is no such one, the name was removed. */
  readonly isNewest: boolean
  /** Null when it is gone meanwhile. Throws PLACE_UNAVAILABLE, TooLarge. */
  read(maxBytes: number, signal: AbortSignal): Promise<Buffer | null>
}

/** Where archives are put and read back from: a folder, or a bucket. Names have slashes; there is no order in listing. */
export interface ArchivePlace {
  /** For people: a path or `s3://bucket/prefix`. */
  readonly name: string
  /** What tells it from every other place; without credentials. */
  readonly address: string
  /** Whole or not at all; the same name again replaces it. Throws PLACE_UNAVAILABLE. */
  put(name: string, content: Buffer, signal: AbortSignal): Promise<void>
  /** Null when there is no such file. Throws PLACE_UNAVAILABLE; TooLarge when it has more than `maxBytes`. */
  get(name: string, maxBytes: number, signal: AbortSignal): Promise<Buffer | null>
  /**
   * All that was put under the name, also what something newer or a removal hides, the newest first. None where the place keeps
   * no versions, or does not show them. Throws PLACE_UNAVAILABLE, ARCHIVE_DAMAGED for more than can be looked through.
   */
  versions(name: string, signal: AbortSignal): Promise<readonly PlacedVersion[]>
  /** What its owner should hear of: whoever reads found something hidden, and read on. */
  remark(text: string): void
  /** Each once; after the first thousand only how many. */
  remarks(): readonly string[]
  /** Names of the folders directly in the place, those too whose files are hidden. */
  folders(signal: AbortSignal): Promise<readonly string[]>
  /** Lets go of connections. */
  close(): void
}

export interface ArchiveCodec {
  pack(content: Buffer): Promise<Buffer>
  /** Null when it is damaged, or unpacks to other than `unpackedBytes`. */
  unpack(packed: Buffer, unpackedBytes: number): Promise<Buffer | null>
}
