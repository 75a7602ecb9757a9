import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { KEY_BYTES } from '../src/domain/evidence/ed25519.ts'
import { formatSigningKey } from '../src/domain/evidence/noteKeys.ts'
import { writeAtomically } from './state.ts'

/** Of the keys of local installations, which have no name of their own. */
const localName = 'localhost/streaming-ingest'

/** The file with the private key that signs the checkpoints of a local installation; made when it is missing. */
export function signingKeyFile(directory: string): string {
  const path = join(directory, 'checkpoint-key')
  if (existsSync(path)) return path
  mkdirSync(directory, { recursive: true })
  writeAtomically(path, `${formatSigningKey(localName, randomBytes(KEY_BYTES))}\n`)
  return path
}
