import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { projectRoot } from '../../stack/paths.ts'
import { serverNames } from '../../stack/state.ts'

const read = (...path: string[]): string => readFileSync(join(projectRoot, ...path), 'utf8')
const files = ['docker-compose.yml', 'docker-compose.streaming.yml'] as const

interface Service {
  readonly image?: string
  readonly ports?: readonly string[]
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly healthcheck?: object
  readonly volumes?: readonly string[]
  readonly depends_on?: Readonly<Record<string, { condition: string }>>
  readonly extends?: { readonly file: string; readonly service: string }
}
interface ComposeFile {
  readonly include?: readonly string[]
  readonly services: Readonly<Record<string, Service>>
  readonly volumes?: Readonly<Record<string, unknown>>
}
const compose = (file: string): ComposeFile => parse(read(file), { merge: true })
const stack = compose('docker-compose.yml')
const images = Object.values(stack.services).map((service) => service.image ?? '')

describe.each(files)('%s', (file) => {
  it("is valid by the Compose specification's schema", () => {
    // Apache-2.0, github.com/compose-spec/compose-go v2.9.1, schema/compose-spec.json.
    const { $schema: _, ...schema } = JSON.parse(read('test', 'vectors', 'compose-spec.json'))
    const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true })
    const valid = ajv.validate(schema, compose(file))
    expect(ajv.errors ?? []).toEqual([])
    expect(valid).toBe(true)
  })

  it('publishes on loopback only', () => {
    for (const service of Object.values(compose(file).services)) {
      for (const port of service.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:\$\{[A-Z_]+:-\d+\}:\d+$/)
    }
  })
})

describe('docker-compose.yml', () => {
  it('pins every image that is not built here', () => {
    const foreign = images.filter((image) => image !== 'streaming-ingest')
    expect(foreign.length).toBeGreaterThanOrEqual(3)
    for (const image of foreign) expect(image).toMatch(/^[a-z/]+:\d+\.\d+(\.\d+)?(-[a-z]+)?$/)
  })

  it('has the servers, the schema, the topics and the three roles, and nothing that hangs in the air', () => {
    const { services, volumes = {} } = stack
    expect(Object.keys(services)).toEqual([...serverNames, 'migrate', 'topics', 'ingest', 'worker', 'api'])
    for (const service of Object.values(services)) {
      for (const name of Object.keys(service.depends_on ?? {})) expect(services).toHaveProperty(name)
      for (const volume of service.volumes ?? []) expect(volumes).toHaveProperty(volume.split(':')[0] ?? '')
    }
  })

  it.each(serverNames)('starts %s alone, and can say that it is healthy', (name) => {
    const service = stack.services[name]
    expect(service?.healthcheck).toBeDefined()
    expect(service?.depends_on).toBeUndefined()
    expect(service?.volumes).toHaveLength(1)
  })

  it('makes no role wait for less than the schema, the topics and Temporal', () => {
    for (const role of ['ingest', 'worker', 'api']) {
      expect(stack.services[role]?.command).toEqual(['node', 'dist/src/main.js', role])
      expect(stack.services[role]?.depends_on).toEqual({
        migrate: { condition: 'service_completed_successfully' },
        topics: { condition: 'service_completed_successfully' },
        temporal: { condition: 'service_healthy' },
      })
      expect(stack.services[role]?.environment).toMatchObject({ HOST: '0.0.0.0' })
    }
  })

  it('passes on all that says who signs, and where notes and archives go', () => {
    const names =
      read('.env.example').match(/^(?:INSTANCE_NAME|CHECKPOINT_|NOTE_|ARCHIVE_|S3_)\w*(?==)/gm) ?? []
    expect(names.length).toBeGreaterThanOrEqual(12)
    for (const role of ['ingest', 'worker', 'api'])
      for (const name of names)
        expect(stack.services[role]?.environment?.[name]).toMatch(new RegExp(`^\\$\\{${name}:-\\d*\\}$`))
  })

  it('runs the Kafka that runs without Docker', () => {
    const version = /<artifactId>kafka_2\.13<\/artifactId>\s*<version>([^<]+)</.exec(
      read('stack', 'kafka', 'pom.xml'),
    )?.[1]
    expect(images).toContain(`apache/kafka:${version}`)
  })

  it('gives the stack commands the ports and passwords that they expect', () => {
    const source = read('stack', 'docker.ts')
    for (const name of serverNames) {
      for (const port of stack.services[name]?.ports ?? []) {
        const [, variable, usual, inside] = /\$\{([A-Z_]+):-(\d+)\}:(\d+)$/.exec(port) ?? []
        expect(source).toContain(`{ inside: ${inside}, variable: '${variable}', usual: ${usual} }`)
      }
    }
    const password = stack.services['postgres']?.environment?.['POSTGRES_PASSWORD'] ?? ''
    expect(read('stack', 'addresses.ts')).toContain(`'${password}'`)
    expect(stack.services['migrate']?.environment?.['DATABASE_ADMIN_URL']).toContain(`postgres:${password}@`)
  })
})

describe('docker-compose.streaming.yml', () => {
  it('includes the stack and adds processes of its roles', () => {
    const streaming = compose('docker-compose.streaming.yml')
    expect(streaming.include).toEqual(['docker-compose.yml'])
    for (const service of Object.values(streaming.services)) {
      expect(service.extends?.file).toBe('docker-compose.yml')
      expect(stack.services).toHaveProperty(service.extends?.service ?? '')
      expect(service.ports).toBeUndefined()
    }
  })
})

describe('Dockerfile', () => {
  const dockerfile = read('Dockerfile')
  const manifest: { packageManager: string; devDependencies: Record<string, string> } = JSON.parse(
    read('package.json'),
  )

  it("builds with the project's own versions of Node and pnpm", () => {
    const bases = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map((found) => found[1] ?? '')
    const node = `node:${manifest.devDependencies['node']}-bookworm-slim`
    expect(bases.filter((base) => base.includes(':'))).toEqual([node, node])
    expect(dockerfile).toContain(`npm install --global ${manifest.packageManager}\n`)
    expect(dockerfile.match(/pnpm install --frozen-lockfile/g)).toHaveLength(2)
  })

  it('runs as an unprivileged user, reachable from outside the container', () => {
    const last = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '))
    expect(last).toMatch(/^USER node$/m)
    expect(last).toMatch(/HOST=0\.0\.0\.0/)
    expect(last).toMatch(/^CMD \["node", "dist\/src\/main\.js", "all"\]$/m)
    expect(last).not.toMatch(/^ADD |DATABASE_URL|PASSWORD/m)
  })

  it('copies only what the build context lets through, which is nothing by default', () => {
    const [first, ...rest] = read('.dockerignore')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
    expect(first).toBe('*')
    const allowed = rest.map((line) => line.replace(/^!/, ''))
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap((found) =>
      (found[1] ?? '').split(' '),
    )
    expect([...new Set(copied)].sort()).toEqual(allowed.sort())
  })
})
