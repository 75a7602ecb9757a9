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
 * NOTE_REFUSED, SIGNING_KEY_REFUSED, ROOT_MISMATCH: the log is not the one that was signed.
 */
export async function adoptNotes(deps: AdoptDependencies, options: AdoptOptions): Promise<AdoptionReport> {
  const { signal } = options
  if (options.notes.length === 0)
    throw new ServiceError('BAD_REQUEST', 'There is no note: nothing could be compared')
  const held = await readHeldNotes(options.notes, options.keys, signal)
  const states = await deps.logs.allLogs()
  const compared: ComparedLog[] = []
  const withoutLog: string[] = []
  for (const [origin, roots] of [...held].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const log = logOf(states, origin)
    if (log === null) withoutLog.push(origin)
    else {
      options.say(`${origin}: ${roots.length} notes`)
      compared.push(await compareLog(deps, { log, origin, roots }, signal))
    }
  }
  // All roots hold: only now something is written.
  const periods = await withKeysOf(
    deps.signingKeys,
    options.keys,
    compared.map(({ roots }) => roots),
  )
  const logs: AdoptedLogView[] = []
  for (const log of compared) logs.push(await adoptLog(deps, log, periods, signal))
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
 * A key that came after the newest archive is not in the database. Its notes are believed, since it was given: it follows the keys
 * that are known, in the order of `given`, and begins now, as nobody knows when it did. Of several each but the last has a ms.
 * Throws SIGNING_KEY_REFUSED for an order in which the logs were not signed.
 */
async function withKeysOf(
  store: Pick<SigningKeyStore, 'keyState' | 'changeKeys'>,
  given: readonly VerifierKey[],
  logs: readonly (readonly HeldRoot[])[],
): Promise<readonly KeyPeriod[]> {
  const state = await store.keyState()
  const isUnknown = ({ text }: VerifierKey, { periods }: KeyState): boolean =>
    periods.every(({ key }) => key.text !== text)
  const signers = new Set(logs.flat().flatMap(({ signedBy }) => signedBy.map(({ text }) => text)))
  const keys = given.filter(({ text }) => signers.has(text))
  const unknown = keys.filter((key) => isUnknown(key, state))
  if (unknown.length === 0) return state.periods
  for (const roots of logs) requireOrder(unknown, roots)
  const changed = await store.changeKeys((now) => {
    let { periods } = now
    let fromMs = Math.max(now.nowMs, (now.lastSignedMs ?? 0) + 1)
    for (const key of unknown.filter((each) => isUnknown(each, now))) {
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

/** What is written down stays for ever, and the last key is the one that signs on: so nothing is guessed. */
function requireOrder(keys: readonly VerifierKey[], roots: readonly HeldRoot[]): void {
  const first = (key: VerifierKey): number =>
    roots.findIndex(({ signedBy }) => signedBy.some(({ text }) => text === key.text))
  const seen = keys.filter((key) => first(key) >= 0)
  for (const [index, key] of seen.entries()) {
    const before = seen[index - 1]
    if (before !== undefined && first(before) > first(key))
      throw new ServiceError(
        'SIGNING_KEY_REFUSED',
        `${key.name}+${key.keyId} signed before ${before.name}+${before.keyId}, which is given before it: give the keys in the order in which they followed each other, as GET /keys lists them`,
      )
  }
}

interface NotedLog {
  readonly log: LogState
  readonly origin: string
  readonly roots: readonly HeldRoot[]
}

interface ComparedLog extends NotedLog {
  /** Those that the log has arrived at, and no checkpoint of it has. */
  readonly toAdopt: readonly HeldRoot[]
  readonly view: Omit<AdoptedLogView, 'adopted'>
}

async function compareLog(
  deps: AdoptDependencies,
  { log, origin, roots }: NotedLog,
  signal: AbortSignal,
): Promise<ComparedLog> {
  const { logId, position } = log
  const stored = await deps.notes.signedSizes(logId)
  const arrived = roots.filter(({ size }) => size <= position.size)
  for (const note of arrived) {
    signal.throwIfAborted()
    const root = await deps.reader.rootAt(logId, leafIndex(note.size))
    if (root !== note.root)
      throw new ServiceError(
        'ROOT_MISMATCH',
        `${note.name} says of ${origin} another root at ${note.size} leaves than the log has: ${hashToHex(root)}`,
      )
  }
  const toAdopt = arrived.filter(({ size }) => !stored.has(size))
  const last = arrived.at(-1)
  return {
    ...{ log, origin, roots, toAdopt },
    view: {
      ...{ origin, leaves: String(position.size), present: arrived.length - toAdopt.length },
      provenTo: last === undefined ? null : String(last.size),
      waiting: roots.slice(arrived.length).map(({ size }) => String(size)),
    },
  }
}

async function adoptLog(
  deps: AdoptDependencies,
  { log, origin, toAdopt, view }: ComparedLog,
  periods: readonly KeyPeriod[],
  signal: AbortSignal,
): Promise<AdoptedLogView> {
  for (const note of toAdopt) {
    signal.throwIfAborted()
    await adopt(deps, log, origin, note, periods)
  }
  return { ...view, adopted: toAdopt.length }
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
