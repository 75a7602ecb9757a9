/** What a recovery did, and exactly what is missing. Offsets and leaves are decimal strings, ranges exclude their end. */

export interface MissingRange {
  /** `archive`: no archive holds them. `tail`: they came after the newest archive. */
  readonly where: 'archive' | 'tail'
  /**
   * `in-kafka`: ingest takes them again when it starts. `lost`: neither an archive nor Kafka has them. `unknown`: Kafka was not
   * asked, or cannot say. `truncated`: the log has these offsets, and Kafka ends before them.
   */
  readonly state: 'in-kafka' | 'lost' | 'unknown' | 'truncated'
  readonly fromLeaf: string
  /** What a note held elsewhere, or an archive, promises; null when nobody knows. */
  readonly toLeaf: string | null
  readonly fromOffset: string
  readonly toOffset: string | null
  readonly detail: string
}

export interface RecoveredLogView {
  readonly origin: string
  readonly topic: string
  readonly partition: number
  readonly incarnation: number
  readonly leaves: string
  readonly events: string
  readonly deadLetters: string
  readonly gaps: string
  /** Records that were events when they were archived and are dead letters by today's verdict. */
  readonly reclassified: string
  /** Dead letters whose codes neither their bytes nor the log's events prove: the archive's word alone. */
  readonly codesByWord: string
  /**
   * By the producers' keys and policies that were restored: refused signatures that would be let in, and events that would be
   * refused. Those of their time may have been others.
   */
  readonly signatureDoubts: { readonly wouldLetIn: number; readonly wouldRefuse: number }
  /**
   * Events that have the id of an earlier event of the log: how many, the leaf of the first, and the least distance in offsets.
   * Ingest looks back by DEDUP_WINDOW_OFFSETS, and not into detached days; or somebody shows a duplicate as an event.
   */
  readonly repeatedIds?: {
    readonly events: string
    readonly firstLeaf: string
    readonly nearest: string
  }
  /** Where ingest goes on. */
  readonly nextOffset: string
  /** Offsets behind the last leaf, before `nextOffset`: that they hold nothing, only the archive says. */
  readonly unprovenOffsets: string
  readonly rootHash: string
  /**
   * Leaves that a signed note covers, in the archive or held elsewhere, of a key that was given; null when none was given, since
   * then no signature counts.
   */
  readonly signedTo: string | null
  /** Size of the largest note held elsewhere whose root was arrived at; null when there was none to compare. */
  readonly provenTo: string | null
  /** Notes held elsewhere: those whose roots were arrived at, and those of larger sizes. */
  readonly notes: { readonly matched: number; readonly larger: number }
  readonly missing: readonly MissingRange[]
  /** The incarnation that was opened because this one cannot go on without contradicting its notes. */
  readonly followedBy?: { readonly incarnation: number; readonly startOffset: string }
}

/** What became of notes that were held elsewhere, once ingest had taken the rest from Kafka. */
export interface AdoptedLogView {
  readonly origin: string
  /** Leaves that the log has now. */
  readonly leaves: string
  /** Size of the largest note whose root the log has; null when there is none. */
  readonly provenTo: string | null
  /** Checkpoints that were put back, and those that were there. */
  readonly adopted: number
  readonly present: number
  /** Sizes that the log has not arrived at: ingest is behind, or the leaves are lost. */
  readonly waiting: readonly string[]
}

export interface AdoptionReport {
  readonly logs: readonly AdoptedLogView[]
  /** Origins of notes that the database has no log of. */
  readonly withoutLog: readonly string[]
  /** Every note is a checkpoint of the database again. */
  readonly complete: boolean
}

export interface LeftOutArchive {
  readonly id: string
  /** What of it came from no other archive; null when nobody can read what was in it. */
  readonly lacks: readonly { readonly origin: string; readonly toLeaf: string }[] | null
}

/** Incarnations of a partition, both ends included. */
export interface LogHole {
  readonly topic: string
  readonly partition: number
  readonly from: number
  readonly to: number
}

export interface UnknownPartition {
  readonly topic: string
  readonly partition: number
  /** Where Kafka begins: what was before it, nobody has. */
  readonly startOffset: string
}

export interface RecoveryReport {
  readonly archives: readonly { readonly id: string; readonly place: string; readonly manifestHash: string }[]
  /** What was found hidden in the places, and read all the same. */
  readonly remarks: readonly string[]
  /** Folders without a manifest: archives that were never finished. */
  readonly unfinished: readonly string[]
  /** Archives that were not used: other installations' ones, and those that were to be left alone. */
  readonly leftOut: readonly LeftOutArchive[]
  readonly logs: readonly RecoveredLogView[]
  /** Logs that notes tell of, and neither an archive nor this database has. */
  readonly withoutArchive: readonly { readonly origin: string; readonly leaves: string }[]
  /** Older logs of a partition that nobody knows anything of. */
  readonly holes: readonly LogHole[]
  /** Partitions that Kafka has now, of these topics, without a log: ingest takes them from their start. */
  readonly partitions: readonly UnknownPartition[]
  readonly checkpoints: number
  /**
   * Nothing is lost for good: all that is missing, Kafka still has; where keys were given, notes cover all leaves; no log goes on
   * at an offset that only the archive tells of; and no log, partition or archive is known to lack.
   */
  readonly complete: boolean
}
