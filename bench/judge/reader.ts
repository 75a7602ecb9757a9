import type { SeenRecord } from './compare.ts'

/** Reads topics from their beginnings to their ends as a read_committed consumer sees them. */
export interface TopicReader {
  /** For people. */
  readonly name: string
  /**
   * Topic by topic, each partition in offset order; `topic` is the position in `topics`. Resolves only when all was
   * read. @throws when an end cannot be reached
   */
  read(
    brokers: string,
    topics: readonly string[],
    onRecord: (topic: number, record: SeenRecord) => void,
    signal?: AbortSignal,
  ): Promise<void>
}
