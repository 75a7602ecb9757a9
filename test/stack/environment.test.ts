import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  formatEnvironment,
  readEnvironment,
  removeEnvironment,
  writeEnvironment,
} from '../../stack/environment.ts'

const addresses = {
  KAFKA_BROKERS: '127.0.0.1:9092,127.0.0.1:9093',
  DATABASE_URL: 'postgres://a:p%27w$HOME`x`"\\@127.0.0.1:5432/log?x=1&y=#2',
  DATABASE_ADMIN_URL: 'postgres://b:p w@127.0.0.1:5432/postgres',
  TEMPORAL_ADDRESS: '127.0.0.1:7233',
  TEMPORAL_UI_URL: '',
}

describe('.stack/env', () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'environment-test-'))
  })
  afterEach(() => rmSync(directory, { recursive: true }))

  it('comes back as it was written, readable by its owner alone', () => {
    writeEnvironment(directory, addresses)
    expect(readEnvironment(directory)).toEqual(addresses)
    expect(statSync(join(directory, 'env')).mode & 0o777).toBe(0o600)
  })

  it('is gone after the servers are', () => {
    writeEnvironment(directory, addresses)
    removeEnvironment(directory)
    expect(readEnvironment(directory)).toBeNull()
  })

  it('means the same to a shell and to a dotenv reader, whatever the values hold', () => {
    const value = fc.string({ unit: 'grapheme-ascii', maxLength: 40 }).filter((text) => !text.includes("'"))
    const file = join(directory, 'any')
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 5 }), (values) => {
        const wanted = Object.fromEntries(values.map((text, index) => [`NAME_${index}`, text]))
        const written = formatEnvironment(wanted)
        writeFileSync(file, written)
        const script = `. "$0"; printf '%s\\n' ${Object.keys(wanted)
          .map((name) => `"$${name}"`)
          .join(' ')}`
        const read = execFileSync('sh', ['-c', script, file], { encoding: 'utf8' })
        expect(read).toBe(values.map((text) => `${text}\n`).join(''))
        expect({ ...parseEnv(written) }).toEqual(wanted)
      }),
      { numRuns: 50 },
    )
  })

  it.each(["it's", 'two\nlines', 'nul\0'])('refuses %j, which the two would read differently', (value) => {
    expect(() => formatEnvironment({ NAME: value })).toThrow(/^NAME holds/)
  })
})
