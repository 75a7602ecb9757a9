import { describe, expect, it } from 'vitest'
import { parseArchiveRequest } from '../../src/domain/archive/request.ts'
import { parseProducerKeyRequest } from '../../src/domain/producerRequests.ts'
import { testKey } from './evidence/keys.ts'

const key = testKey('shop.example', 1).verifierKey.text
const parsers = {
  validFrom: (at: string) => parseProducerKeyRequest({ source: 'shop', key, validFrom: at }),
  validUntil: (at: string) => parseProducerKeyRequest({ source: 'shop', key, validUntil: at }),
  from: (at: string) => parseArchiveRequest({ topic: 'a', from: at }),
  to: (at: string) => parseArchiveRequest({ topic: 'a', to: at }),
}

describe.each(Object.entries(parsers))('the instant %s', (path, parse) => {
  it.each(['0001-01-01T00:00:00Z', '9999-12-31T23:59:59.999Z', '9999-12-31T23:59:59+23:59'])(
    'may be %s',
    (at) => expect(parse(at).ok).toBe(true),
  )

  it.each([
    '0000-12-31T23:59:59Z',
    '0001-01-01T00:00:00+00:01',
    '9999-12-31T23:59:59-00:01',
    '9999-12-31T23:59:59-23:59',
  ])('cannot be %s: its year has no four digits', (at) => {
    expect(parse(at)).toEqual({
      ok: false,
      problems: [{ path, message: 'must lie in the years 1 to 9999 of UTC' }],
    })
  })
})
