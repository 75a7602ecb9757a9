/**
 * Compares a database with notes held elsewhere. What was rewritten in the database with all its hashes and checkpoints, or
 * cut off, shows here and nowhere else: nobody who owns the database can change these notes or sign others.
 */
import type { AuditedLog, AuditFinding, AuditReport } from '../domain/evidence/auditReport.ts'
import { checkpointOf, openCheckpoint } from '../domain/evidence/checkpointNote.ts'
import type { VerifierKey } from '../domain/evidence/noteKeys.ts'
import { formatOrigin, isAnsweredBy, nameOf, parseOrigin } from '../domain/evidence/origin.ts'
import { hashToHex } from '../domain/hash.ts'
import { type Hash, leafIndex } from '../domain/model.ts'
import { ServiceError } from '../errors.ts'
import type { EventLogReader, LogState, NoteStore, QueryStore, SigningKeyStore } from '../ports.ts'

/** A file, an object or a record that may be a note. */
export interface HeldNote {
  /** For people: file, key, or topic, partition and offset. */
  readonly where: string
  readonly bytes: Buffer
  /** It was filed as a note: then it must be one. */
  readonly isNote: boolean
  /** The place that it was read from, one of `places`. */
  readonly place?: string
}

export interface AuditDependencies {
  readonly reader: Pick<EventLogReader, 'rootAt'>
  readonly logs: Pick<QueryStore, 'allLogs'>
  readonly notes: Pick<NoteStore, 'signedSizes'>
  readonly signingKeys: Pick<SigningKeyStore, 'keyState'>
  /** Derives the whole log from its bytes. */
  readonly derive: (log: LogState) => Promise<DerivedLog>
  /** Reads archives back; null when none is to be read. */
  readonly held: ((log: LogState, origin: string) => Promise<HeldLog>) | null
}

export interface DerivedLog {
  /** What is wrong with it, for people, or null. */
  readonly damage: string | null
  /** Leaves that went away with detached days: stored hashes stand for them. */
  readonly detached: bigint
}

export interface HeldLog {
  /** Leaves that went away with detached days. */
  readonly detached: bigint
  /** What of them no archive holds, for people; null when all of it is held. */
  readonly lacking: string | null
}

export interface AuditOptions {
  /** To believe; none: those that the database says signed its checkpoints. */
  readonly keys: readonly VerifierKey[]
  /** Only logs of this origin and below. */
  readonly origin?: string
  /** Believe the stored hashes, and derive nothing. */
  readonly quick: boolean
  readonly onProgress: (text: string) => void
  /** Where notes are read, for people: each must hold a good one, or nothing was compared with it. */
  readonly places?: readonly string[]
  /** Ends it between two notes. */
  readonly signal?: AbortSignal
}

interface GoodNote {
  readonly root: Hash
  readonly where: string
}

/** Of one log. */
interface NotedLog {
  /** By size; several when good notes disagree, which is a finding by itself. */
  readonly notes: Map<bigint, readonly GoodNote[]>
}

/** Throws ServiceError for a database that cannot be read. */
export async function auditNotes(
  deps: AuditDependencies,
  held: AsyncIterable<HeldNote>,
  options: AuditOptions,
): Promise<AuditReport> {
  const { periods } = await deps.signingKeys.keyState()
  const keys = options.keys.length > 0 ? options.keys : periods.map(({ key }) => key)
  const findings: AuditFinding[] = []
  const { noted, count, passedOver, placesWithNotes } = await collect(held, keys, options, findings)
  // Which of the keys is this database's, only notes can tell: its logs may be meant under the name of each.
  const names = [...new Set(keys.map(({ name }) => name))]
  const own = periods.map(({ key }) => key.name).find((name) => names.includes(name)) ?? names[0]
  const all = names.length === 0 ? [] : await deps.logs.allLogs()
  const states = logsByOrigin(all, names)
  const logs: AuditedLog[] = []
  for (const origin of [...noted.keys()].sort())
    logs.push(await auditLog(deps, origin, noted.get(origin) as NotedLog, states, options, findings))
  const emptyPlaces = [...new Set(options.places)].filter((place) => !placesWithNotes.has(place))
  const isWanted = (origin: string) => options.origin === undefined || isAnsweredBy(origin, options.origin)
  return {
    verdict: findings.length === 0 && count > 0 && emptyPlaces.length === 0 ? 'intact' : 'damaged',
    notes: count,
    emptyPlaces,
    passedOver,
    derived: !options.quick,
    keysFrom: options.keys.length > 0 ? 'given' : 'database',
    logs,
    withoutNotes: all
      .filter(({ position }) => position.size > 0n)
      .filter((log) => !names.some((instance) => noted.has(originOf(log, instance))))
      .map((log) => originOf(log, own ?? ''))
      .filter(isWanted),
    findings,
  }
}

async function collect(
  held: AsyncIterable<HeldNote>,
  keys: readonly VerifierKey[],
  { origin: wanted, signal }: AuditOptions,
  findings: AuditFinding[],
): Promise<{
  readonly noted: ReadonlyMap<string, NotedLog>
  readonly count: number
  readonly passedOver: number
  readonly placesWithNotes: ReadonlySet<string>
}> {
  const noted = new Map<string, NotedLog>()
  let count = 0
  let passedOver = 0
  const placesWithNotes = new Set<string>()
  for await (const { where, bytes, isNote, place } of held) {
    signal?.throwIfAborted()
    const text = bytes.toString('utf8')
    const said = checkpointOf(text)
    if (!said.ok) {
      if (isNote)
        list(findings, { kind: 'unreadable-note', where, count: '1', detail: `${where}: ${said.detail}` })
      else passedOver++
      continue
    }
    if (wanted !== undefined && !isAnsweredBy(said.value.origin, wanted)) {
      passedOver++
      continue
    }
    const opened = openCheckpoint(text, { keys })
    if (!opened.ok) {
      list(findings, { kind: 'bad-note', where, count: '1', detail: `${where}: ${opened.detail}` })
      continue
    }
    const { origin, size, root } = opened.value
    const log: NotedLog = noted.get(origin) ?? { notes: new Map() }
    noted.set(origin, log)
    count++
    if (place !== undefined) placesWithNotes.add(place)
    const others: readonly GoodNote[] = log.notes.get(size) ?? []
    const [other] = others
    if (others.some((each) => each.root === root)) continue
    log.notes.set(size, [...others, { root, where }])
    if (other !== undefined)
      list(findings, {
        ...about(origin, size, root, where),
        kind: 'notes-disagree',
        detail: `${other.where} and ${where} are both signed and give ${origin} two roots at ${size} leaves`,
      })
  }
  return { noted, count, passedOver, placesWithNotes }
}

/** Of each kind that is about single notes; the others are counted in one more. */
const MAX_LISTED = 100

function list(findings: AuditFinding[], finding: AuditFinding): void {
  const { kind } = finding
  if (findings.filter((each) => each.kind === kind).length < MAX_LISTED) {
    findings.push(finding)
    return
  }
  const at = findings.findIndex((each) => each.kind === kind && each.where === undefined)
  const before = findings[at]
  if (before === undefined) findings.push({ kind, count: '1', detail: 'more of the same' })
  else findings[at] = { ...before, count: String(BigInt(before.count) + 1n) }
}

const originOf = (log: LogState, instance: string): string => formatOrigin({ instance, ...nameOf(log) })

const logsByOrigin = (
  logs: readonly LogState[],
  instances: readonly string[],
): ReadonlyMap<string, LogState> =>
  new Map(instances.flatMap((instance) => logs.map((log) => [originOf(log, instance), log] as const)))

const about = (origin: string, size: bigint, root: Hash, where: string) => ({
  origin,
  size: String(size),
  noteRoot: hashToHex(root),
  where,
  count: '1',
})

async function auditLog(
  deps: AuditDependencies,
  origin: string,
  { notes }: NotedLog,
  states: ReadonlyMap<string, LogState>,
  { quick, onProgress, signal }: AuditOptions,
  findings: AuditFinding[],
): Promise<AuditedLog> {
  const sizes = [...notes.keys()].sort((one, other) => (one < other ? -1 : 1))
  const covered = sizes.at(-1) ?? 0n
  const log = states.get(origin) ?? null
  const before = findings.length
  let detached = 0n
  let held: boolean | undefined
  onProgress(`${origin}: ${sizes.length} notes up to ${covered} leaves`)
  if (log === null) findings.push(missingLog(origin, sizes, notes))
  else {
    findings.push(...truncation(log, origin, sizes, notes))
    findings.push(...(await rewriting(deps, log, origin, sizes, notes, signal)))
    findings.push(...(await missingCheckpoints(deps, log, origin, sizes, notes)))
    const derived = quick ? null : await deps.derive(log)
    detached = derived?.detached ?? 0n
    if (derived !== null && derived.damage !== null)
      findings.push({ kind: 'log-damaged', origin, count: '1', detail: `${origin}: ${derived.damage}` })
    const found = await deps.held?.(log, origin)
    if (found !== undefined && found.detached > 0n) {
      held = found.lacking === null
      detached = found.detached
    }
    if (found !== undefined && found.lacking !== null)
      findings.push({ kind: 'detached-unheld', origin, count: '1', detail: `${origin}: ${found.lacking}` })
  }
  return {
    origin,
    notes: sizes.length,
    covered: String(covered),
    size: log === null ? null : String(log.position.size),
    ...(detached > 0n && { detached: String(detached) }),
    ...(held !== undefined && { held }),
    verdict: findings.length === before ? 'intact' : 'damaged',
  }
}

type Notes = NotedLog['notes']

function missingLog(origin: string, sizes: readonly bigint[], notes: Notes): AuditFinding {
  const size = sizes.at(-1) ?? 0n
  const { root, where } = noteAt(notes, size)
  const hint = parseOrigin(origin) === null ? ': it is none of this platform' : ''
  const detail = `the database has no log ${origin}, of which ${where} says that it has ${size} leaves${hint}`
  return { ...about(origin, size, root, where), count: String(sizes.length), kind: 'log-missing', detail }
}

/** The first, where several disagree. */
function noteAt(notes: Notes, size: bigint): GoodNote {
  const [note] = notes.get(size) ?? []
  if (note === undefined) throw new RangeError('there is no note of this size')
  return note
}

function truncation(
  { position }: LogState,
  origin: string,
  sizes: readonly bigint[],
  notes: Notes,
): AuditFinding[] {
  const beyond = sizes.filter((size) => size > position.size)
  const [first] = beyond
  if (first === undefined) return []
  const { root, where } = noteAt(notes, first)
  const last = beyond.at(-1)
  const detail = `${origin} has ${position.size} leaves in the database, and had ${first} when ${where} was signed${last === first ? '' : `, ${last} later`}`
  return [{ ...about(origin, first, root, where), count: String(beyond.length), kind: 'truncated', detail }]
}

/** One finding, which says between which notes the history changes. */
async function rewriting(
  { reader }: AuditDependencies,
  { logId, position }: LogState,
  origin: string,
  sizes: readonly bigint[],
  notes: Notes,
  signal: AbortSignal | undefined,
): Promise<AuditFinding[]> {
  let good = 0n
  let first: { readonly size: bigint; readonly found: Hash } | null = null
  let bad = 0
  // A note among leaves that went away with a detached day, whose checkpoint nobody knew then: the others still tell.
  const unshown: AuditFinding[] = []
  for (const size of sizes) {
    signal?.throwIfAborted()
    if (size > position.size) break
    const read = await rootOrDamage(reader, logId, size)
    if (!read.ok) {
      const detail = `${origin}: ${read.detail}`
      const lack: AuditFinding = { kind: 'log-damaged', origin, size: String(size), count: '1', detail }
      if (!read.detached) return [lack]
      unshown.push(lack)
      continue
    }
    const found = read.root
    if (notes.get(size)?.some(({ root }) => root === found)) {
      if (first === null) good = size
      continue
    }
    bad++
    first ??= { size, found }
  }
  const lacks = unshown.slice(0, 1).map((each) => ({ ...each, count: String(unshown.length) }))
  if (first === null) return lacks
  const { root, where } = noteAt(notes, first.size)
  const detail = `${origin} has at ${first.size} leaves the root ${hashToHex(first.found)} in the database, and ${hashToHex(root)} in ${where}: leaves of [${good}, ${first.size}) are not those that were signed`
  const found = { ...about(origin, first.size, root, where), databaseRoot: hashToHex(first.found) }
  return [{ ...found, count: String(bad), kind: 'rewritten', detail }, ...lacks]
}

type ReadRoot =
  | { readonly ok: true; readonly root: Hash }
  | { readonly ok: false; readonly detached: boolean; readonly detail: string }

async function rootOrDamage(
  reader: AuditDependencies['reader'],
  id: LogState['logId'],
  size: bigint,
): Promise<ReadRoot> {
  try {
    return { ok: true, root: await reader.rootAt(id, leafIndex(size)) }
  } catch (error) {
    if (error instanceof ServiceError && (error.code === 'LOG_DAMAGED' || error.code === 'DETACHED'))
      return { ok: false, detached: error.code === 'DETACHED', detail: error.message }
    throw error
  }
}

async function missingCheckpoints(
  { notes: store }: AuditDependencies,
  { logId }: LogState,
  origin: string,
  sizes: readonly bigint[],
  notes: Notes,
): Promise<AuditFinding[]> {
  const stored = await store.signedSizes(logId)
  const missing = sizes.filter((size) => !stored.has(size))
  const [first] = missing
  if (first === undefined) return []
  const { root, where } = noteAt(notes, first)
  const detail = `the database has no signed checkpoint of ${origin} at ${first} leaves, and ${where} is one${missing.length === 1 ? '' : `; the same of ${missing.length - 1} more`}`
  return [
    {
      ...about(origin, first, root, where),
      count: String(missing.length),
      kind: 'checkpoint-missing',
      detail,
    },
  ]
}
