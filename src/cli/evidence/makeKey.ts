import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { KEY_BYTES, keyPairOf } from '../../domain/evidence/ed25519.ts'
import { formatSigningKey, verifierKey } from '../../domain/evidence/noteKeys.ts'
import { isInstanceName } from '../../domain/evidence/origin.ts'
import { CliFailure } from '../failure.ts'
import type { Terminal } from '../terminal.ts'
import { badOutput } from './files.ts'

export interface MakeKeyFlags {
  readonly name: string
  readonly out: string
}

/** Writes a new private key and says its verifier key. Never touches a file that is there. Throws CliFailure. */
export async function makeKey({ name, out }: MakeKeyFlags, terminal: Terminal): Promise<void> {
  if (!isInstanceName(name))
    throw new CliFailure(
      2,
      'BAD_REQUEST',
      '--name: has 1 to 200 characters, no space, no "+", and no "/" at its ends',
    )
  const seed = randomBytes(KEY_BYTES)
  try {
    await writeFile(out, `${formatSigningKey(name, seed)}\n`, { flag: 'wx', mode: 0o600 })
  } catch (error) {
    throw badOutput(out, error)
  }
  const { text } = verifierKey(name, keyPairOf(seed).publicKey)
  terminal.line(text)
  terminal.result({ verifierKey: text, file: out })
}
