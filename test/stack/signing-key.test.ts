import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { readConfig } from '../../src/config.ts'
import { signingKeyFile } from '../../stack/signing-key.ts'

it('makes one key per stack, for its owner alone, that the configuration takes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'stack-key-'))
  try {
    const path = signingKeyFile(join(folder, '.stack'))
    const made = readFileSync(path, 'utf8')
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(signingKeyFile(join(folder, '.stack'))).toBe(path)
    expect(readFileSync(path, 'utf8')).toBe(made)
    const read = readConfig({ DATABASE_URL: 'postgres://u@h/d', CHECKPOINT_SIGNING_KEY_FILE: path })
    expect(read.ok && read.config.signing).toMatchObject({
      instanceName: 'localhost/streaming-ingest',
      keys: [expect.anything()],
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
