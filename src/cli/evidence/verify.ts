import { existsSync } from 'node:fs'
import { parseWitnessKey, type WitnessKey } from '../../domain/evidence/cosignature.ts'
import type { Flaw } from '../../domain/evidence/finding.ts'
import {
  distinctKeys,
  parseKeyList,
  parseVerifierKey,
  type VerifierKey,
} from '../../domain/evidence/noteKeys.ts'
import { verifyEvidence } from '../../domain/evidence/verifyEvidence.ts'
import { CliFailure } from '../failure.ts'
import type { Terminal } from '../terminal.ts'
import { badFile, readBytes, readKeyList } from './files.ts'
import { describeVerified, presentVerified } from './present.ts'

export interface VerifyFlags {
  readonly key: readonly string[]
  readonly event?: string
  readonly origin?: string
  readonly witness: readonly string[]
}

/** Exported records begin with it, and carry no signature. */
const OPENING_BRACE = 0x7b

/** Says what a file shows, in one line. Throws CliFailure: 1 when it is not shown, 2 when it cannot be read. */
export async function verify(path: string, flags: VerifyFlags, terminal: Terminal): Promise<void> {
  const keys = await keysOf(flags.key)
  const witnesses = flags.witness.map(witnessOf)
  const file = await readBytes(path)
  if (keys.length === 0 && file[0] !== OPENING_BRACE)
    throw new CliFailure(2, 'BAD_REQUEST', '--key: is needed to verify a signature')
  const found = verifyEvidence({
    file,
    trust: {
      keys,
      ...(flags.origin !== undefined && { origin: flags.origin }),
      ...(witnesses.length > 0 && { witnesses }),
    },
    ...(flags.event !== undefined && { event: await readBytes(flags.event) }),
  })
  if (!found.ok) throw failureOf(path, found, file)
  // Otherwise it would seem shown of an event that nothing was compared with.
  if (flags.event !== undefined && found.value.what !== 'inclusion')
    throw new CliFailure(
      2,
      'BAD_REQUEST',
      `--event: goes with an inclusion proof, and ${path} is none: get one with pnpm evidence inclusion`,
    )
  if (found.value.what === 'records') requireNoTrust(path, flags)
  terminal.line(describeVerified(found.value))
  terminal.result(presentVerified(found.value))
}

/** Nothing in exported records is signed: who asks for more than a reading must not take it for an answer. */
function requireNoTrust(path: string, { origin, witness }: VerifyFlags): void {
  const asked = witness.length > 0 ? '--witness' : origin !== undefined ? '--origin' : null
  if (asked !== null)
    throw new CliFailure(
      2,
      'BAD_REQUEST',
      `${asked}: goes with a checkpoint or a proof, and ${path} is exported records, in which nothing is signed`,
    )
}

function witnessOf(given: string): WitnessKey {
  const key = parseWitnessKey(given)
  if (key.ok) return key.value
  throw new CliFailure(2, 'BAD_REQUEST', `--witness: ${key.detail}`)
}

function failureOf(path: string, { fault, detail }: Flaw, file: Buffer): CliFailure {
  const said = `${detail}${traceOfEditing(file)}`
  if (fault === 'MALFORMED') return badFile(path, said)
  return new CliFailure(1, 'NOT_VERIFIED', `${path}: not verified: ${said}`)
}

const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf])

/** What editors and mail do to files: the commonest reason why a good one is refused, and one that nobody sees. */
function traceOfEditing(file: Buffer): string {
  const again = ': some program changed it on its way, get it anew'
  if (file.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK))
    return ` (it begins with a byte order mark${again})`
  return file.includes('\r\n') ? ` (its lines end with CR LF${again})` : ''
}

/** Keys as given, and those of the files that are named instead; each once. Throws CliFailure. */
export async function keysOf(given: readonly string[]): Promise<readonly VerifierKey[]> {
  const all: VerifierKey[] = []
  for (const text of given) all.push(...(await keysFrom(text)))
  const keys = distinctKeys(all)
  if (keys.ok) return keys.value
  throw new CliFailure(2, 'BAD_REQUEST', `--key: ${keys.detail}`)
}

/** A key, several with one a line, or a file of such lines. */
async function keysFrom(given: string): Promise<readonly VerifierKey[]> {
  const key = parseVerifierKey(given)
  if (key.ok) return [key.value]
  const keys = given.includes('\n') ? parseKeyList(given) : key
  if (keys.ok) return keys.value
  if (!existsSync(given))
    throw new CliFailure(2, 'BAD_REQUEST', `--key: ${keys.detail}, and there is no file of this name`)
  const list = parseKeyList(await readKeyList(given))
  if (!list.ok) throw badFile(given, list.detail)
  return list.value
}
