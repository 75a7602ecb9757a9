import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { addressesFromEnvironment, addressesOf } from '../../stack/addresses.ts'
import type { Site } from '../../stack/native.ts'

describe('whose server it is', () => {
  let site: Site
  beforeEach(() => {
    const directory = mkdtempSync(join(tmpdir(), 'addresses-test-'))
    site = { directory, progress: () => undefined }
  })
  afterEach(() => rmSync(site.directory, { recursive: true }))

  it('is ours when the environment names none, an empty value included', () => {
    expect(addressesFromEnvironment('kafka', {}, site, [])).toBeNull()
    expect(addressesFromEnvironment('kafka', { KAFKA_BROKERS: '' }, site, [])).toBeNull()
  })

  it('is the one that the environment names', () => {
    const environment = { KAFKA_BROKERS: 'a:1,b:2', TEMPORAL_ADDRESS: 'c:3' }
    expect(addressesFromEnvironment('kafka', environment, site, [])).toEqual({ KAFKA_BROKERS: 'a:1,b:2' })
    expect(addressesFromEnvironment('temporal', environment, site, [])).toEqual({
      TEMPORAL_ADDRESS: 'c:3',
      TEMPORAL_UI_URL: '',
    })
    expect(addressesFromEnvironment('postgres', environment, site, [])).toBeNull()
  })

  it('is ours when the environment repeats what we gave out, as after sourcing .stack/env', () => {
    const server = { kind: 'native' as const, process: { pid: 1, started: 'x' }, ports: [1234] }
    const own = addressesOf('postgres', server, site)
    expect(addressesFromEnvironment('postgres', { ...own }, site, [own])).toBeNull()
    expect(addressesFromEnvironment('postgres', { DATABASE_URL: own.DATABASE_URL }, site, [own])).toBeNull()
  })

  it('gets a database and a role of this checkout on a server that only its owner is named for', () => {
    const admin = 'postgres://boss:secret@db.example:5433/postgres'
    const found = addressesFromEnvironment('postgres', { DATABASE_ADMIN_URL: admin }, site, [])
    expect(found?.DATABASE_ADMIN_URL).toBe(admin)
    const url = new URL(found?.DATABASE_URL ?? '')
    expect(url.host).toBe('db.example:5433')
    expect(url.pathname).toMatch(/^\/streaming_ingest_[0-9a-f]{8}$/)
    expect(url.username).toBe(url.pathname.slice(1))
    expect(url.password).not.toBe('secret')
    expect(addressesFromEnvironment('postgres', { DATABASE_ADMIN_URL: admin }, site, [])).toEqual(found)
  })

  it('cannot be told when the application is named without its owner', () => {
    const environment = { DATABASE_URL: 'postgres://app:pw@db.example/log' }
    expect(() => addressesFromEnvironment('postgres', environment, site, [])).toThrow(/DATABASE_ADMIN_URL/)
  })
})
