/**
 * Signed notes that were held elsewhere, back into a database that was rebuilt: the checkpoints that were made after the
 * newest archive. Each must have the root that the log has.
 */
import type { AdoptedLogView, AdoptionReport } from '../domain/archive/recoveryView.ts'
import { type KeyPeriod, keysSigningAt, rotateKey } from '../domain/evidence/keyPeriods.ts'
import type { VerifierKey } from '../domain/evidence/noteKeys.ts'
import { formatOrigin, nameOf, parseOrigin } from '../domain/evidence/origin.ts'
import { hashToHex, sha256 } from '../domain/hash.ts'
import { leafIndex } from '../domain/model.ts'
import { ServiceError } from '../errors.ts'
import type {
  ArchiveStore,
  CheckpointStore,
  EventLogReader,
  KeyState,
  LogState,
  NoteStore,
  QueryStore,
  SigningKeyStore,
} from '../ports.ts'
import { type HeldNote, type HeldRoot, readHeldNotes } from './notesHeld.ts'

export interface AdoptDependencies {
  readonly reader: Pick<EventLogReader, 'rootAt'>
  readonly logs: Pick<QueryStore, 'allLogs'>
  readonly archives: Pick<ArchiveStore, 'leavesOf' | 'ingestedAt'>
  readonly checkpoints: Pick<CheckpointStore, 'insertCheckpoint'>
  readonly notes: Pick<NoteStore, 'signedSizes'>
  readonly signingKeys: Pick<SigningKeyStore, 'keyState' | 'changeKeys'>
}

export interface AdoptOptions {
  readonly notes: readonly HeldNote[]
  readonly keys: readonly VerifierKey[]
  readonly say: (line: string) => void
  /** Ends it between two notes. */
  readonly signal: AbortSignal
}

const ADOPTED_BY = 'recovery'

/**
 * Can be repeated, and goes on where it was broken off: what is there already is only compared. Throws BAD_REQUEST for no notes,
 * NOTE_REFUSED, ROOT_MISMATCH: the log is not the one that was signed.
 */
export async function adoptNotes(deps: AdoptDependencies, options: AdoptOptions): Promise<AdoptionReport> {
  const { signal } = options
  if (options.notes.length === 0)
    throw new ServiceError('BAD_REQUEST', 'There is no note: nothing could be compared')
  const held = await readHeldNotes(options.notes, options.keys, signal)
  const states = await deps.logs.allLogs()
  const known = [...held].filter(([origin]) => logOf(states, origin) !== null).map(([, roots]) => roots)
  const periods = await withKeysOf(deps.signingKeys, known)
  const logs: AdoptedLogView[] = []
  const withoutLog: string[] = []
  for (const [origin, roots] of [...held].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const log = logOf(states, origin)
    if (log === null) withoutLog.push(origin)
    else {
      options.say(`${origin}: ${roots.length} notes`)
      logs.push(await adoptLog(deps, log, origin, roots, { periods, signal }))
    }
  }
  const complete = withoutLog.length === 0 && logs.every(({ waiting }) => waiting.length === 0)
  return { logs, withoutLog, complete }
}

function logOf(states: readonly LogState[], origin: string): LogState | null {
  const parsed = parseOrigin(origin)
  if (parsed === null) return null
  const { instance } = parsed
  return states.find((state) => formatOrigin({ instance, ...nameOf(state) }) === origin) ?? null
}

/**
 * A key that came after the newest archive is not in the database. Its notes are believed, since it was given: it followed the keys
 * that are known, in the order in which keys signed, and begins now, as nobody knows when it did. Of several each but the last has
 * a ms. Throws SIGNING_KEY_REFUSED.
 */
async function withKeysOf(
  store: Pick<SigningKeyStore, 'keyState' | 'changeKeys'>,
  logs: readonly (readonly HeldRoot[])[],
): Promise<readonly KeyPeriod[]> {
  const state = await store.keyState()
  const isUnknown = ({ text }: VerifierKey, { periods }: KeyState): boolean =>
    periods.every(({ key }) => key.text !== text)
  const keys = inOrderOfSigning(logs)
  if (!keys.some((key) => isUnknown(key, state))) return state.periods
  const changed = await store.changeKeys((now) => {
    let { periods } = now
    let fromMs = Math.max(now.nowMs, (now.lastSignedMs ?? 0) + 1)
    for (const key of keys.filter((each) => isUnknown(each, now))) {
      const rotated = rotateKey(periods, { key, fromMs, overlapMs: 0 })
      if (!rotated.ok)
        throw new ServiceError('SIGNING_KEY_REFUSED', `${key.name}+${key.keyId}: ${rotated.detail}`)
      periods = rotated.periods
      fromMs++
    }
    return { periods }
  })
  return changed.periods
}

/** Roots of a log come by size: of two keys the one that signed first is the older. Fewer are before it than before the other. */
function inOrderOfSigning(logs: readonly (readonly HeldRoot[])[]): readonly VerifierKey[] {
  const after = new Map<string, { readonly key: VerifierKey; readonly before: Set<string> }>()
  for (const roots of logs) {
    const seen = new Set<string>()
    for (const { signedBy } of roots)
      for (const key of signedBy) {
        const entry = after.get(key.text) ?? { key, before: new Set<string>() }
        after.set(key.text, entry)
        if (!seen.has(key.text)) for (const other of seen) entry.before.add(other)
        seen.add(key.text)
      }
  }
  return [...after.values()].sort((a, b) => a.before.size - b.before.size).map(({ key }) => key)
}

async function adoptLog(
  deps: AdoptDependencies,
  log: LogState,
  origin: string,
  roots: readonly HeldRoot[],
  { periods, signal }: { readonly periods: readonly KeyPeriod[]; readonly signal: AbortSignal },
): Promise<AdoptedLogView> {
  const { logId, position } = log
  const stored = await deps.notes.signedSizes(logId)
  const waiting: string[] = []
  let provenTo: string | null = null
  let [adopted, present] = [0, 0]
  for (const note of roots) {
    signal.throwIfAborted()
    if (note.size > position.size) {
      waiting.push(String(note.size))
      continue
    }
    const root = await deps.reader.rootAt(logId, leafIndex(note.size))
    if (root !== note.root)
      throw new ServiceError(
        'ROOT_MISMATCH',
        `${note.name} says of ${origin} another root at ${note.size} leaves than the log has: ${hashToHex(root)}`,
      )
    provenTo = String(note.size)
    if (stored.has(note.size)) present++
    else {
      await adopt(deps, log, origin, note, periods)
      adopted++
    }
  }
  return { origin, leaves: String(position.size), provenTo, adopted, present, waiting }
}

async function adopt(
  { archives, checkpoints }: AdoptDependencies,
  { logId, identity: { topic, partition } }: LogState,
  origin: string,
  note: HeldRoot,
  periods: readonly KeyPeriod[],
): Promise<void> {
  const size = leafIndex(note.size)
  const { toOffset } = await archives.leavesOf(logId, leafIndex(0n), size)
  const ingestedMs = await archives.ingestedAt(logId, size)
  await checkpoints.insertCheckpoint({
    id: idOf(origin, note.size),
    ...{ topic, partition, offset: null, createdBy: ADOPTED_BY },
    createdAt: new Date(signedAt(note, ingestedMs, periods)),
    positions: [{ logId, partition, offset: toOffset, size, rootHash: note.root, note: note.text }],
  })
}

/**
 * Nobody knows when it was signed: not before its last leaf was ingested, and while one of its keys did. Throws NOTE_REFUSED
 * when the database knows none of them.
 */
function signedAt({ name, signedBy }: HeldRoot, ingestedMs: number, periods: readonly KeyPeriod[]): number {
  const own = periods.filter(({ key }) => signedBy.some(({ text }) => text === key.text))
  if (keysSigningAt(own, ingestedMs).length > 0) return ingestedMs
  const later = own.map(({ fromMs }) => fromMs).filter((fromMs) => fromMs > ingestedMs)
  const [last] = own.map(({ untilMs }) => untilMs).filter((untilMs) => untilMs !== null)
  if (later.length > 0) return Math.min(...later)
  if (last !== undefined) return last - 1
  throw new ServiceError('NOTE_REFUSED', `${name} is signed by a key that the database does not know`)
}

/** The same note is the same checkpoint, however often it is put back (RFC 9562, version 8). */
function idOf(origin: string, size: bigint): string {
  const hex = hashToHex(sha256(`${origin}\n${size}`))
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}
