import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '../..')
const read = (name: string): string => readFileSync(join(root, name), 'utf8')
const readme = read('README.md')
const scripts: Readonly<Record<string, string>> = JSON.parse(read('package.json')).scripts
const all = (pattern: RegExp): string[] => [
  ...new Set([...readme.matchAll(pattern)].map((match) => match[1] ?? '')),
]

describe('the README', () => {
  it('names only commands that exist', () => {
    const named = [...all(/npm run ([a-z:]+)/g), ...all(/pnpm (?!install)([a-z:]+)/g)]
    expect(named.length).toBeGreaterThan(6)
    expect(named.filter((name) => scripts[name] === undefined)).toEqual([])
  })

  it('names only files that exist', () => {
    const files = [...all(/\]\(([^)#]+\.md)\)/g), ...all(/tsx ([\w/.-]+\.ts)/g), ...all(/-f ([\w.-]+\.yml)/g)]
    expect(files.length).toBeGreaterThan(3)
    expect(files.filter((file) => !existsSync(join(root, file)))).toEqual([])
  })

  it('names only settings that .env.example has, with the same defaults', () => {
    const example = new Map(
      [...read('.env.example').matchAll(/^([A-Z_]+)=(.*)$/gm)].map((match) => [match[1], match[2]]),
    )
    const rows = [...readme.matchAll(/^\| `([A-Z_]+)` \| `([^`]+)` \|/gm)]
    expect(rows.length).toBeGreaterThan(8)
    for (const [, name, value] of rows) expect([name, example.get(name)]).toEqual([name, value])
  })

  it('shows CLI calls whose flags the CLI knows', () => {
    const calls = all(/^(pnpm (?:replay|log|evidence|archive) .+(?:\\\n.+)?)$/gm).map((call) =>
      call.replace(/#.*$/gm, ''),
    )
    expect(calls.length).toBeGreaterThan(5)
    for (const call of calls) {
      const [, program = '', command = ''] = call.split(/\s+/)
      const words = program === 'log' ? [program, command] : [command]
      const entries: Readonly<Record<string, string>> = {
        evidence: 'src/cli/evidence-main.ts',
        archive: 'src/recovery/main.ts',
      }
      const entry = entries[program] ?? 'src/cli/main.ts'
      const help = execFileSync(process.execPath, [entry, ...words, '--help'], {
        cwd: root,
        encoding: 'utf8',
      })
      const unknown = [...call.matchAll(/(--[a-z-]+)/g)].filter(([flag]) => !help.includes(flag))
      expect([command, unknown.map(([flag]) => flag)]).toEqual([command, []])
    }
  })

  it('keeps to paths inside the repository in its documents', () => {
    for (const name of [
      'README.md',
      'docs/design.md',
      'docs/evidence.md',
      'docs/recovery.md',
      'docs/schema.md',
    ]) {
      const text = read(name)
      const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map((match) => match[1] ?? '')
      expect(links.filter((link) => !existsSync(join(root, dirname(name), link)))).toEqual([])
    }
  })
})
