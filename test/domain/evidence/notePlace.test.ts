import { describe, expect, it } from 'vitest'
import { witnessKey } from '../../../src/domain/evidence/cosignature.ts'
import { keyPairOf } from '../../../src/domain/evidence/ed25519.ts'
import { notePath, parseNotePlaces, saysTheSame } from '../../../src/domain/evidence/notePlace.ts'
import { checkpointAt, newKey, oldKey } from './sampleLog.ts'

const { text: witness } = witnessKey('witness.example/w1', keyPairOf(Buffer.alloc(32, 9)).publicKey)

describe('a list of places', () => {
  it('is read with what each kind needs', () => {
    const { places, problems } = parseNotePlaces(
      [
        'file:///var/notes/',
        's3://evidence/notes/a?endpoint=https://s3.example.com&region=eu-1&lock=compliance&days=365',
        ' s3://evidence/b?name=second ',
        'kafka:notes',
        `witness+https://witness.example/w1/#${witness}`,
        `witness+http://127.0.0.1:7380/?name=local#${witness}`,
        '',
      ].join(','),
    )
    expect(problems).toEqual([])
    expect(places).toMatchObject([
      { kind: 'folder', name: 'file:///var/notes', path: '/var/notes' },
      {
        kind: 's3',
        name: 's3://evidence/notes/a',
        place: {
          bucket: 'evidence',
          prefix: 'notes/a/',
          endpoint: 'https://s3.example.com',
          region: 'eu-1',
          pathStyle: true,
          lock: { mode: 'compliance', days: 365 },
        },
      },
      { kind: 's3', name: 'second', place: { endpoint: null, pathStyle: false, lock: null } },
      { kind: 'kafka', name: 'kafka:notes', topic: 'notes' },
      { kind: 'witness', name: 'witness+https://witness.example/w1', url: 'https://witness.example/w1' },
      { kind: 'witness', name: 'local', url: 'http://127.0.0.1:7380' },
    ])
    expect(parseNotePlaces('')).toEqual({ places: [], problems: [] })
  })

  it.each([
    ['ftp://x/y', 'must begin with'],
    ['/var/notes', 'must begin with'],
    ['file://host/var', 'file:///folder'],
    ['file:///', 'whole path'],
    ['file:///a?lock=yes', 'file:///folder'],
    ['s3://Bad_Bucket/x', 'must name a bucket'],
    ['s3://key:secret@bucket/x', 'credentials'],
    ['s3://bucket/x?region=EU', 'region'],
    ['s3://bucket/x?lock=forever&days=1', 'lock=compliance'],
    ['s3://bucket/x?lock=compliance', 'days=1'],
    ['s3://bucket/x?days=3', 'lock=compliance'],
    ['s3://bucket/x?endpoint=https://a:b@s3.example.com', 'endpoint'],
    ['s3://bucket/x?secret=abc', 'knows the parameters'],
    ['s3://bucket/a%20b', 'prefix'],
    ['kafka:a/b', 'kafka:topic'],
    ['kafka:?name=a', 'kafka:topic'],
    ['witness+https://witness.example/', 'verifier key'],
    [`witness+http://witness.example/#${witness}`, 'must speak https'],
    [`witness+https://witness.example/#${oldKey.verifierKey.text}`, 'verifier key'],
    ['kafka:notes?name=a%20b', '?name='],
  ])('is refused with the number of the entry: %s', (entry, why) => {
    const { places, problems } = parseNotePlaces(`file:///ok,${entry}`)
    expect([places.length, problems]).toEqual([1, [expect.stringContaining(why)]])
    expect(problems[0]).toMatch(/^entry 2 /)
    expect(problems[0]).not.toContain(entry)
    expect(problems[0]).not.toContain('secret')
  })

  it('has each name once', () => {
    const { problems } = parseNotePlaces('kafka:notes,kafka:notes,s3://one/x?region=a,s3://one/x?region=b')
    expect(problems).toEqual([expect.stringContaining('entry 2'), expect.stringContaining('entry 4')])
  })
})

describe('where a note is filed', () => {
  it('sorts by size, and never leads out of the place', () => {
    const origin = 'example.com/ingest/orders/0/3f2a9c1e-7d54-4b8a-9e0f-5c6d7e8f9a0b'
    expect(notePath(origin, 300n)).toBe(`${origin}/0000000000000000300.note`)
    expect(notePath(`../é b/./${origin}`, 2n ** 63n - 1n)).toBe(
      `%2E%2E/%C3%A9%20b/%2E/${origin}/9223372036854775807.note`,
    )
    expect(notePath('a//b', 1n).split('/')).not.toContain('')
  })

  it('tells the same statement by other signers from another one', () => {
    expect(saysTheSame(checkpointAt(20), checkpointAt(20, [oldKey, newKey]))).toBe(true)
    expect(saysTheSame(checkpointAt(20), checkpointAt(19))).toBe(false)
    expect(saysTheSame(checkpointAt(20), 'x')).toBe(false)
  })
})
