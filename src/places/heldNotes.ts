/** Reads the notes that a place holds, for whoever compares them with a database. */
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { MAX_NOTE_BYTES } from '../domain/evidence/note.ts'
import type { NotePlaceConfig } from '../domain/evidence/notePlace.ts'
import { offset } from '../domain/model.ts'
import { ServiceError } from '../errors.ts'
import type { HeldNote } from '../evidence/auditNotes.ts'
import type { TargetReader, TopicDirectory } from '../ports.ts'
import { createObjectStore, type S3Credentials } from '../s3/objectStore.ts'
import { untilAborted } from './folders.ts'

export interface HeldNoteClients {
  readonly s3Credentials: S3Credentials | null
  /** Made when a topic is to be read. */
  readonly kafka: () => {
    readonly directory: Pick<TopicDirectory, 'describe'>
    readonly reader: Pick<TargetReader, 'scan'>
    close(): void
  }
}

/** All of them, in no order. Throws PLACE_UNAVAILABLE, and BAD_REQUEST for a witness, which hands nothing out. */
export function heldNotes(
  config: NotePlaceConfig,
  clients: HeldNoteClients,
  signal: AbortSignal,
): AsyncGenerator<HeldNote> {
  switch (config.kind) {
    case 'folder':
      return notesOfFolder(config.path, signal)
    case 's3':
      return notesOfBucket(config, clients, signal)
    case 'kafka':
      return notesOfTopic(config.topic, clients, signal)
    case 'witness':
      throw new ServiceError(
        'BAD_REQUEST',
        'a witness hands out no notes: its cosignatures stand in those of others',
      )
    default:
      return config satisfies never
  }
}

const START = offset(0n)

const isNoteName = (name: string): boolean => name.endsWith('.note')

/** It could lead in a circle, or to notes that are given twice; and nothing that is in it may be passed over. */
const linkedFolder = (where: string): string =>
  `${where} is a link to a folder, and is not followed: name the folder itself as one more place of notes`

/**
 * Also of one file, and of links to files. What begins with a dot is a draft of somebody who died. Throws PLACE_UNAVAILABLE, and
 * BAD_REQUEST for a link to a folder.
 */
export async function* notesOfFolder(path: string, signal: AbortSignal): AsyncGenerator<HeldNote> {
  try {
    if ((await untilAborted(() => stat(path), signal)).isFile()) {
      yield { where: path, bytes: await untilAborted(() => readFile(path), signal), isNote: true }
      return
    }
    const list = () => readdir(path, { recursive: true, withFileTypes: true })
    const entries = await untilAborted(list, signal)
    for (const entry of entries) {
      signal.throwIfAborted()
      if (!(entry.isFile() || entry.isSymbolicLink()) || entry.name.startsWith('.')) continue
      const where = join(entry.parentPath, entry.name)
      const isNote = isNoteName(entry.name)
      const found = await untilAborted(() => stat(where), signal)
      if (found.isDirectory()) throw new ServiceError('BAD_REQUEST', linkedFolder(where))
      const { size } = found
      if (size > MAX_NOTE_BYTES) yield { where, bytes: Buffer.alloc(0), isNote }
      else yield { where, bytes: await untilAborted(() => readFile(where), signal), isNote }
    }
  } catch (error) {
    if (signal.aborted || error instanceof ServiceError) throw error
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason'
    const at = error instanceof Error && 'path' in error ? String(error.path) : path
    throw new ServiceError('PLACE_UNAVAILABLE', `${at} cannot be read (${code})`, { cause: error })
  }
}

async function* notesOfBucket(
  { place }: NotePlaceConfig & { readonly kind: 's3' },
  { s3Credentials }: HeldNoteClients,
  signal: AbortSignal,
): AsyncGenerator<HeldNote> {
  const store = createObjectStore(place, s3Credentials)
  try {
    // Every version: whoever may write there could hide a locked note behind another one, or behind a removal.
    for await (const { key, bytes: length, versionId } of store.versions(place.prefix, signal)) {
      const where = `s3://${place.bucket}/${key}${versionId === null ? '' : `, version ${versionId}`}`
      const isNote = isNoteName(key)
      const bytes =
        length > MAX_NOTE_BYTES
          ? Buffer.alloc(0)
          : await store.get(key, MAX_NOTE_BYTES, signal, versionId ?? undefined)
      if (bytes !== null) yield { where, bytes, isNote }
    }
  } finally {
    store.close()
  }
}

async function* notesOfTopic(
  topic: string,
  { kafka }: HeldNoteClients,
  signal: AbortSignal,
): AsyncGenerator<HeldNote> {
  const { directory, reader, close } = kafka()
  try {
    const described = await directory.describe(topic, signal)
    if (described === null) throw new ServiceError('PLACE_UNAVAILABLE', `there is no topic ${topic}`)
    for (const { partition } of described.partitions) {
      const scan = await reader.scan({ topic, partition }, START, null, signal)
      try {
        for (let page = await scan.next(); page !== null; page = await scan.next())
          for (const records of page.records)
            for (let index = 0; index < records.count; index++) {
              const start = records.valueStarts[index] ?? -1
              const bytes = records.bytes.subarray(Math.max(start, 0), records.valueEnds[index])
              const where = `${topic}/${partition} at offset ${records.offsets[index]}`
              yield { where, bytes: start < 0 ? Buffer.alloc(0) : bytes, isNote: true }
            }
      } finally {
        scan.close()
      }
    }
  } finally {
    close()
  }
}
