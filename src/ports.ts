/**
 * What ingest, the activities and the edges need from the outside world. Implemented in src/store, src/kafka and src/places,
 * handed in by the composition root. Types only.
 */
export type * from './ports/append.ts'
export type * from './ports/archives.ts'
export type * from './ports/checkpoints.ts'
export type * from './ports/logVerification.ts'
export type * from './ports/notes.ts'
export type * from './ports/producers.ts'
export type * from './ports/queries.ts'
export type * from './ports/read.ts'
export type * from './ports/recovery.ts'
export type * from './ports/replays.ts'
export type * from './ports/source.ts'
export type * from './ports/target.ts'
export type * from './ports/verifications.ts'
