import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '../..')

interface Import {
  readonly file: string
  /** A package name, `node:x`, or a path from the project's root. */
  readonly target: string
  readonly typeOnly: boolean
}

const sources = ['src', 'workflows', 'activities', 'drizzle', 'stack', 'bench'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `${folder}/${name}`),
)

function importsOf(file: string): Import[] {
  const text = readFileSync(join(root, file), 'utf8')
  const found = text.matchAll(/(?:import|export)\s+(type\s)?(?:[^'"();]*?\sfrom\s+)?'([^']+)'/g)
  const dynamic = text.matchAll(/import\(\s*'([^']+)'\s*\)/g)
  return [
    ...[...found].map((match) => toImport(file, match[2] ?? '', match[1] !== undefined)),
    ...[...dynamic].map((match) => toImport(file, match[1] ?? '', false)),
  ]
}

function toImport(file: string, specifier: string, typeOnly: boolean): Import {
  const target = specifier.startsWith('.')
    ? relative(root, resolve(dirname(join(root, file)), specifier))
    : specifier
  return { file, target, typeOnly }
}

const imports = sources.flatMap(importsOf)
/** A file without its comments. */
const code = (file: string): string =>
  readFileSync(join(root, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
const within = (folder: string) => (entry: Import) => entry.file.startsWith(`${folder}/`)
const show = (entries: readonly Import[]): string[] =>
  entries.map((entry) => `${entry.file} → ${entry.target}`)

/** Imports of files in `folder` that no pattern allows. */
function offenders(
  folder: string,
  allowed: readonly RegExp[],
  typesAllowed: readonly RegExp[] = [],
): string[] {
  return show(
    imports
      .filter(within(folder))
      .filter((entry) => !allowed.some((pattern) => pattern.test(entry.target)))
      .filter((entry) => !(entry.typeOnly && typesAllowed.some((pattern) => pattern.test(entry.target)))),
  )
}

describe('who may import whom', () => {
  it('sees the imports at all', () => {
    expect(sources.length).toBeGreaterThan(40)
    expect(imports.some((entry) => entry.target === 'zod')).toBe(true)
    expect(imports.some((entry) => entry.typeOnly && entry.target === 'src/ports.ts')).toBe(true)
  })

  it('the domain imports nothing of ours but itself and the error codes', () => {
    expect(
      offenders('src/domain', [
        /^src\/domain\//,
        /^src\/errors\.ts$/,
        /^zod$/,
        /^node:(crypto|buffer|util)$/,
      ]),
    ).toEqual([])
  })

  it('the store knows the domain, its schema and PostgreSQL', () => {
    const allowed = [
      /^src\/(domain|store)\//,
      /^drizzle\//,
      /^src\/(errors|logger|ports)\.ts$/,
      /^node:/,
      /^pg$/,
      /^drizzle-orm/,
      /^zod$/,
    ]
    expect(offenders('src/store', allowed)).toEqual([])
  })

  it('ingest and the activities get the outside world handed in', () => {
    const allowed = [/^src\/domain\//, /^src\/(errors|ports)\.ts$/, /^node:(timers|util|crypto|perf_hooks)/]
    const types = [/^src\/logger\.ts$/]
    expect(offenders('src/ingest', [...allowed, /^src\/ingest\//], types)).toEqual([])
    expect(
      offenders(
        'activities',
        [...allowed, /^activities\//, /^src\/archive\//, /^@temporalio\/(activity|common)$/],
        types,
      ),
    ).toEqual([])
  })

  it('records and proofs for outsiders come from the domain, over ports', () => {
    const allowed = [/^src\/(domain|evidence)\//, /^src\/(errors|ports)\.ts$/]
    expect(offenders('src/evidence', allowed)).toEqual([])
  })

  it('archives are written, read and recovered over ports', () => {
    const allowed = [/^src\/(domain|archive)\//, /^src\/(errors|ports)\.ts$/]
    expect(offenders('src/archive', allowed)).toEqual([])
  })

  it('workflows are deterministic: the SDK, the domain, codes and types only', () => {
    const allowed = [
      /^@temporalio\/(workflow|common)$/,
      /^src\/domain\//,
      /^src\/errors\.ts$/,
      /^workflows\//,
    ]
    expect(offenders('workflows', allowed, [/^activities\//, /^src\/ports\.ts$/])).toEqual([])
  })

  it('only src/kafka knows kafkajs, only src/store knows SQL', () => {
    const product = imports.filter((entry) => !/^(bench|stack)\//.test(entry.file))
    const kafka = product.filter(
      (entry) => /^kafkajs/.test(entry.target) && !entry.file.startsWith('src/kafka/'),
    )
    const sql = product.filter(
      (entry) => /^(pg|drizzle-orm)/.test(entry.target) && !/^(src\/store|drizzle)\//.test(entry.file),
    )
    expect(show([...kafka, ...sql])).toEqual([])
  })

  it('only src/s3 knows the S3 client', () => {
    const product = imports.filter((entry) => !/^(bench|stack|src\/s3)\//.test(entry.file))
    expect(show(product.filter((entry) => /^@(aws-sdk|smithy)\//.test(entry.target)))).toEqual([])
  })

  it('the edges touch neither SQL nor Kafka', () => {
    const edges = imports.filter((entry) => /^src\/(api|cli)\//.test(entry.file))
    expect(
      show(
        edges.filter((entry) => /^src\/(store|kafka|ingest|places|s3)\/|^activities\//.test(entry.target)),
      ),
    ).toEqual([])
  })

  it('only entry points read the environment', () => {
    const entryPoints =
      /^(src\/main\.ts|src\/cli\/(evidence-)?main\.ts|src\/recovery\/main\.ts|src\/store\/migrate-cli\.ts|stack\/|bench\/)/
    const readers = sources.filter((file) => readFileSync(join(root, file), 'utf8').includes('process.env'))
    expect(readers.filter((file) => !entryPoints.test(file))).toEqual([])
  })

  it('no default exports, no enums, no any', () => {
    const bad = sources.filter((file) =>
      /^export default|^\s*(export )?(const )?enum |: any\b|\bas any\b/m.test(code(file)),
    )
    expect(bad).toEqual([])
  })
})
