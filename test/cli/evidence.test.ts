import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createEvidenceProgram } from '../../src/cli/evidence/program.ts'
import { CliFailure } from '../../src/cli/failure.ts'
import { createTerminal } from '../../src/cli/terminal.ts'
import { cosign, witnessKey as cosigner, withLines } from '../../src/domain/evidence/cosignature.ts'
import { keyPairOf } from '../../src/domain/evidence/ed25519.ts'
import { parseNote } from '../../src/domain/evidence/note.ts'
import { formatSigningKey, parseSigningKey } from '../../src/domain/evidence/noteKeys.ts'
import { taken } from '../domain/evidence/keys.ts'
import {
  checkpointAt,
  consistencyBetween,
  inclusionFile,
  newKey,
  ORIGIN,
  oldKey,
  recordLineAt,
  witnessKey,
} from '../domain/evidence/sampleLog.ts'
import { runEvidence } from './evidenceProcess.ts'
import type { CliRun } from './run.ts'

const entry = fileURLToPath(new URL('../../src/cli/evidence-main.ts', import.meta.url))
const key = oldKey.verifierKey.text

let folder: string
const path = (name: string): string => join(folder, name)
const write = (name: string, text: string | Buffer): string => {
  writeFileSync(path(name), text)
  return path(name)
}

/** Without any variable of the environment, as on an auditor's machine. */
function evidence(...args: readonly string[]): Promise<CliRun> {
  return new Promise((resolve) => {
    execFile(process.execPath, [entry, ...args], { env: {} }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
    })
  })
}

/** In this process: how the command ends, and the line that it ends with. */
async function refusal(
  ...args: readonly string[]
): Promise<{ readonly code: number; readonly line: string }> {
  const terminal = createTerminal(process, { json: false, color: false })
  try {
    const connect = () => {
      throw new Error('it asked for the service')
    }
    const audit = connect
    await createEvidenceProgram({ terminal, connect, audit }).parseAsync(['node', 'evidence', ...args])
  } catch (error) {
    if (error instanceof CliFailure) return { code: error.exitCode, line: error.message }
    throw error
  }
  throw new Error('it was not refused')
}

const line = (text: string | RegExp) => expect.stringMatching(text)

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'evidence-'))
  write('checkpoint', checkpointAt(20, [oldKey, newKey, witnessKey]))
  write('event', recordLineAt(11))
  write('proof', inclusionFile(11, 20))
  write('carrying', inclusionFile(11, 20, { carried: true }))
  write('consistency', consistencyBetween(11, 20))
  write('keys', `# the keys of the installation\n${newKey.verifierKey.text}\n${key}\n`)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('pnpm evidence verify', () => {
  it('says in one line what a file shows', async () => {
    expect(await evidence('verify', path('checkpoint'), '--key', key)).toEqual({
      code: 0,
      stdout: line(/^verified: example\.com\/ingest\/orders\S+ has 20 leaves .*, signed by \S+\n$/),
      stderr: '',
    })
    const beside = await evidence('verify', path('proof'), '--key', key, '--event', path('event'))
    expect(beside).toEqual({
      code: 0,
      stdout: line(/^verified: the record at offset 1110 is leaf 11 of .*\n$/),
      stderr: '',
    })
    expect((await evidence('verify', path('carrying'), '--key', path('keys'))).stdout).toBe(beside.stdout)
    const continued = await evidence(
      'verify',
      path('consistency'),
      '--key',
      key,
      '--key',
      newKey.verifierKey.text,
    )
    expect(continued).toMatchObject({
      code: 0,
      stdout: line(/^verified: the 20 leaves .* begin with the 11 .*\n$/),
    })
    expect(await evidence('verify', path('event'))).toMatchObject({
      code: 0,
      stdout: line(/^read: the record at offset 1110 has the leaf [0-9a-f]{64}; .* takes a proof/),
    })
  })

  it('says the same for programs', async () => {
    const run = await evidence('verify', path('carrying'), '--key', key, '--json')
    expect(JSON.parse(run.stdout)).toMatchObject({
      verified: 'inclusion',
      leafIndex: '11',
      checkpoint: { origin: ORIGIN, size: '20', signedBy: [line(/^example\.com\/ingest\+/)] },
    })
    const refused = await evidence(
      'verify',
      path('checkpoint'),
      '--key',
      witnessKey.verifierKey.text,
      '--json',
    )
    expect([refused.code, JSON.parse(refused.stdout)]).toMatchObject([1, { error: { code: 'NOT_VERIFIED' } }])
  })

  it('ends with 1 when what a file says is not shown', async () => {
    const unsigned = await evidence('verify', path('checkpoint'), '--key', witnessKey.verifierKey.text)
    expect(unsigned).toMatchObject({
      code: 1,
      stdout: '',
      stderr: line(/not verified: no key .* answers for .*\n$/),
    })
    const other = ['--origin', `${ORIGIN}/2`]
    expect(await evidence('verify', path('checkpoint'), '--key', key, ...other)).toMatchObject({ code: 1 })
    const damaged = write(
      'damaged',
      inclusionFile(11, 20, { carried: true }).replace(/\n(index .*\n).*\n/, '\n$1'),
    )
    expect(await evidence('verify', damaged, '--key', key)).toMatchObject({
      code: 1,
      stderr: line(/^\S+: not verified: the proof has 4 hashes where these sizes need 5\n$/),
    })
  })

  it('says that a file was changed on its way, where it shows', async () => {
    const marked = write('marked', `\ufeff${checkpointAt(20)}`)
    expect(await refusal('verify', marked, '--key', key)).toEqual({
      code: 1,
      line: line(/marked: not verified: .* \(it begins with a byte order mark: .* get it anew\)/),
    })
  })

  it('never says verified of an event that nothing was compared with', async () => {
    for (const name of ['checkpoint', 'consistency', 'event']) {
      const args = [path(name), '--key', key, '--key', newKey.verifierKey.text, '--event', path('event')]
      expect([name, await refusal('verify', ...args)]).toEqual([
        name,
        { code: 2, line: line(/^--event: goes with an inclusion proof, and \S+ is none/) },
      ])
    }
  })

  it('ends with no 0 for unsigned records when a witness or an origin is asked for', async () => {
    const { text: witness } = cosigner('witness.example/w1', keyPairOf(Buffer.alloc(32, 9)).publicKey)
    const asked: [string, string][] = [
      ['--witness', witness],
      ['--origin', ORIGIN],
    ]
    for (const [flag, value] of asked) {
      const run = await evidence('verify', path('event'), '--key', key, flag, value, '--json')
      expect([run.code, JSON.parse(run.stdout)]).toMatchObject([2, { error: { code: 'BAD_REQUEST' } }])
      expect(run.stderr).toMatch(new RegExp(`^${flag}: goes with a checkpoint or a proof`))
    }
  })

  it('takes no private key, and never says it', async () => {
    const secret = formatSigningKey('example.com/ingest', Buffer.alloc(32, 7))
    for (const given of [secret, write('secret', `${secret}\n`)]) {
      const run = await evidence('verify', path('checkpoint'), '--key', given, '--json')
      expect(run).toMatchObject({ code: 2, stderr: line(/: this is a private key, .* verifier key instead/) })
      expect(`${run.stdout}${run.stderr}`).not.toContain(secret.split('+').at(-1))
    }
  })

  it('ends with 2 and one line when something cannot be read', async () => {
    const bad: [readonly string[], RegExp][] = [
      [['verify', path('none'), '--key', key], /none: there is no such file/],
      [['verify', path('proof'), '--nothing'], /unknown option/],
      [['nothing'], /unknown command/],
    ]
    for (const [args, said] of bad) {
      const run = await evidence(...args)
      expect([args, run]).toMatchObject([args, { code: 2, stdout: '', stderr: line(said) }])
      expect([args, run.stderr.split('\n').length]).toEqual([args, 2])
    }
  })

  it('says of everything that it cannot read what is wrong with it', async () => {
    const bad: [readonly string[], RegExp][] = [
      [[folder, '--key', key], /is a folder/],
      [[path('checkpoint')], /^--key: is needed/],
      [[path('checkpoint'), '--key', key.slice(0, -1)], /^--key: a verifier key looks like/],
      [[path('checkpoint'), '--key', path('event')], /event: a verifier key looks like/],
      [[path('checkpoint'), '--key', write('latin1', Buffer.from([0xe4]))], /latin1: is not UTF-8/],
      [[path('proof'), '--key', key], /proof: the proof carries no event/],
      [[path('proof'), '--key', key, '--event', path('proof')], /one line of JSON/],
      [[path('proof'), '--key', key, '--event', path('none')], /none: there is no such file/],
      [[path('proof'), '--key', key, '--event', path('proof')], /proof: the exported event beside it: /],
      [[path('keys'), '--key', key], /keys: it is no signed checkpoint/],
      [[path('checkpoint'), '--key', path('nothing')], /^--key: .* there is no file of this name/],
      [[write('crlf', checkpointAt(9).replaceAll('\n', '\r\n')), '--key', key], /crlf: .* end with CR LF/],
      [[write('bytes', `\u0001${checkpointAt(9)}`), '--key', key], /bytes: .* control characters/],
      [[write('empty', ''), '--key', key], /empty: it is no/],
    ]
    for (const [args, said] of bad)
      expect([args, await refusal('verify', ...args)]).toEqual([args, { code: 2, line: line(said) }])
  })
})

describe('pnpm evidence verify with little memory', () => {
  const MiB = 1024 * 1024
  const withLittle = (...args: readonly string[]) =>
    runEvidence(['verify', ...args], { NODE_OPTIONS: '--max-old-space-size=96' })

  it('ends with 2 and one line whatever a large file holds', async () => {
    const newlines = write('newlines', '\n'.repeat(40 * MiB))
    const opened = write('opened', `{${'\n'.repeat(40 * MiB)}`)
    const objects = write('objects', `{"a":[${'{},'.repeat(13 * MiB)}1]}`)
    const flags = ['--key', key]
    const bad: [readonly string[], RegExp][] = [
      [[newlines, ...flags], /newlines: .* has at most \d+ bytes\n$/],
      [[opened, ...flags], /opened: line 1: an exported record is one line of JSON\n$/],
      [[objects, ...flags], /objects: line 1: an exported record is one line of JSON\n$/],
      [[path('proof'), ...flags, '--event', newlines], /proof: .* one line of JSON\n$/],
      [[path('checkpoint'), '--key', newlines], /newlines: has more than 2000000 bytes\n$/],
    ]
    for (const [args, said] of bad) {
      const run = await withLittle(...args)
      expect([args, run]).toMatchObject([args, { code: 2, stdout: '', stderr: line(said) }])
      expect([args, run.stderr.split('\n').length]).toEqual([args, 2])
    }
    expect(await withLittle(path('proof'), ...flags, '--event', path('event'))).toMatchObject({ code: 0 })
  })
})

describe('pnpm evidence make-key', () => {
  it('keeps the private key in a file of its owner and says the verifier key', async () => {
    const out = path('private')
    const run = await evidence('make-key', '--name', 'example.com/ingest', '--out', out)
    expect(run).toEqual({ code: 0, stdout: line(/^example\.com\/ingest\+[0-9a-f]{8}\+\S+\n$/), stderr: '' })
    expect(statSync(out).mode & 0o777).toBe(0o600)
    const written = readFileSync(out, 'utf8')
    expect(taken(parseSigningKey(written.trimEnd())).verifierKey.text).toBe(run.stdout.trimEnd())
    const again = await evidence('make-key', '--name', 'example.com/ingest', '--out', out)
    expect(again).toMatchObject({ code: 2, stdout: '', stderr: line(/is there already/) })
    expect(readFileSync(out, 'utf8')).toBe(written)
  })

  it('refuses a name that no log could have, and a place that is none', async () => {
    for (const name of ['', 'a b', 'a+b', '/a', 'a/'])
      expect(await refusal('make-key', '--name', name, '--out', path('other'))).toEqual({
        code: 2,
        line: line(/^--name: /),
      })
    expect(await refusal('make-key', '--name', 'a', '--out', path('none/key'))).toEqual({
      code: 2,
      line: line(/there is no such folder to write to/),
    })
  })
})

describe('verify --witness', () => {
  const name = 'witness.example/w1'
  const { text } = taken(parseNote(checkpointAt(20)))
  const { text: witness } = cosigner(name, keyPairOf(Buffer.alloc(32, 9)).publicKey)
  const line = cosign(text, name, Buffer.alloc(32, 9), 1_679_315_147n)

  it('shows who cosigned, and when; a checkpoint without the cosignature is not verified', async () => {
    const cosigned = write('cosigned', withLines(checkpointAt(20), [line]))
    const flags = ['--key', key, '--witness', witness]
    const shown = await evidence('verify', cosigned, ...flags)
    expect([shown.code, shown.stdout]).toEqual([
      0,
      expect.stringContaining(`cosigned by ${name}+${line.keyId} at 2023-03-20T`),
    ])
    const json = await evidence('verify', cosigned, ...flags, '--json')
    expect(JSON.parse(json.stdout).checkpoint.cosignedBy).toEqual([
      { witness: `${name}+${line.keyId}`, timestamp: '1679315147' },
    ])
    const plain = write('plain', checkpointAt(20))
    expect(await refusal('verify', plain, ...flags)).toMatchObject({
      code: 1,
      line: expect.stringContaining('has not cosigned it'),
    })
    expect(await refusal('verify', plain, '--key', key, '--witness', key)).toMatchObject({
      code: 2,
      line: expect.stringContaining('--witness'),
    })
  })
})
