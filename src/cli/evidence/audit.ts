/** `pnpm evidence audit`: a database against notes held elsewhere. */
import { resolve } from 'node:path'
import { type ArchivePlaceConfig, parseArchivePlace } from '../../domain/archive/place.ts'
import type { AuditFinding, AuditReport } from '../../domain/evidence/auditReport.ts'
import type { VerifierKey } from '../../domain/evidence/noteKeys.ts'
import { type NotePlaceConfig, parseNotePlace } from '../../domain/evidence/notePlace.ts'
import { ServiceError } from '../../errors.ts'
import { CliFailure } from '../failure.ts'
import type { Terminal } from '../terminal.ts'
import { keysOf } from './verify.ts'

export interface AuditFlags {
  readonly notes: readonly string[]
  readonly key: readonly string[]
  readonly databaseUrl?: string
  readonly origin?: string
  readonly quick?: boolean
  readonly archives?: readonly string[]
}

export type NoteSource =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'place'; readonly place: NotePlaceConfig }

export interface AuditCall {
  /** The one of the environment when it is missing. */
  readonly databaseUrl?: string
  readonly sources: readonly NoteSource[]
  readonly keys: readonly VerifierKey[]
  readonly origin?: string
  readonly quick: boolean
  readonly archives: readonly ArchivePlaceConfig[]
  readonly onProgress: (text: string) => void
}

export interface AuditContext {
  readonly terminal: Terminal
  /** Reads the environment, the database and the places. Throws ServiceError, CliFailure. */
  readonly audit: (call: AuditCall) => Promise<AuditReport>
}

/** Throws CliFailure: 1 when the database is not what was signed, 2 for bad input. */
export async function audit(flags: AuditFlags, { terminal, audit: run }: AuditContext): Promise<void> {
  if (flags.notes.length === 0) throw new CliFailure(2, 'BAD_REQUEST', '--notes: is needed')
  const sources = flags.notes.map(sourceOf)
  const keys = await keysOf(flags.key)
  const report = await run({
    sources,
    keys,
    quick: flags.quick === true,
    archives: (flags.archives ?? []).map(archivePlaceOf),
    onProgress: (text) => terminal.complain(text),
    ...(flags.databaseUrl !== undefined && { databaseUrl: flags.databaseUrl }),
    ...(flags.origin !== undefined && { origin: flags.origin }),
  }).catch((error: unknown) => {
    if (!(error instanceof ServiceError)) throw error
    throw new CliFailure(error.code === 'BAD_REQUEST' ? 2 : 1, error.code, error.message)
  })
  terminal.result(report)
  for (const line of describeReport(report)) terminal.line(line)
  if ((flags.archives ?? []).length > 0 && report.logs.every(({ held }) => held === undefined))
    terminal.line(
      '  --archives: no archive was read, since no leaf of these logs is gone with a detached day',
    )
  if (report.emptyPlaces.length > 0 && report.findings.length === 0)
    throw new CliFailure(
      1,
      'NOT_VERIFIED',
      `--notes: no note was found in ${report.emptyPlaces.join(' and ')}, so nothing is shown by what is held there`,
    )
  if (report.verdict === 'damaged')
    throw new CliFailure(
      1,
      'LOG_DAMAGED',
      `the database is not what was signed: ${report.findings.length} findings`,
    )
}

/** A path, or a place as in ARCHIVE_PLACE. Throws CliFailure. */
function archivePlaceOf(given: string): ArchivePlaceConfig {
  const parsed = parseArchivePlace(/^[a-z0-9]+:/.test(given) ? given : resolve(given))
  if (parsed.ok) return parsed.value
  throw new CliFailure(2, 'BAD_REQUEST', `--archives: ${parsed.problem}`)
}

/** A path, or a place as in NOTE_PLACES. Throws CliFailure. */
export function sourceOf(given: string): NoteSource {
  if (!/^(file|s3|kafka|witness\+https?):/.test(given)) return { kind: 'path', path: given }
  const parsed = parseNotePlace(given)
  if (parsed.ok) return { kind: 'place', place: parsed.value }
  throw new CliFailure(2, 'BAD_REQUEST', `--notes: ${parsed.problem}`)
}

/** Lines for people. */
export function describeReport(report: AuditReport): string[] {
  const how = report.derived
    ? `${report.logs.some(({ detached }) => detached !== undefined) ? 'every leaf that is not detached' : 'every leaf'} derived from its bytes`
    : 'stored hashes believed: run without --quick to derive every leaf from its bytes'
  const keys = report.keysFrom === 'given' ? 'the given keys' : "the database's own keys"
  return [
    `${report.notes} notes of ${report.logs.length} logs, signatures checked with ${keys}, ${how}`,
    ...report.logs.map(({ origin, verdict, notes, covered, size, detached, held }) => {
      const behind = size === null ? 0n : BigInt(size) - BigInt(covered)
      const rest = behind > 0n ? `; no note speaks for the ${behind} leaves behind them` : ''
      const where = held === true ? 'held by archives that were read back' : 'not looked at'
      const away = detached === undefined ? '' : `, ${detached} detached leaves ${where}`
      return `  ${origin}: ${verdict}, ${notes} notes up to ${covered} leaves${rest}${away}`
    }),
    ...report.withoutNotes.map((origin) => `  ${origin}: no note speaks for it`),
    ...report.emptyPlaces.map((place) => `  ${place}: no good note was found there`),
    ...report.findings.map(describeFinding),
  ]
}

const describeFinding = ({ kind, detail, count }: AuditFinding): string =>
  `${kind.toUpperCase()}: ${detail}${count === '1' ? '' : ` (${count} notes)`}`
