import { expect, it } from 'vitest'
import {
  addressOfPlace,
  isPlaceOf,
  nameInAddress,
  nameOfPlace,
  parseArchivePlace,
} from '../../../src/domain/archive/place.ts'

const config = (text: string) => {
  const parsed = parseArchivePlace(text)
  if (!parsed.ok) throw new Error(parsed.problem)
  return parsed.value
}
const address = (text: string): string => addressOfPlace(config(text))

it.each([
  ['file:///mnt/archives/', '/mnt/archives'],
  ['s3://bucket', 's3://bucket?endpoint=aws'],
  ['s3://bucket/kept/here?region=eu-central-1', 's3://bucket/kept/here?endpoint=aws'],
  [
    's3://bucket/kept?endpoint=https://s3.example.com:9000/&lock=compliance&days=9',
    's3://bucket/kept?endpoint=https://s3.example.com:9000',
  ],
])('%s is told from others by %s', (text, wanted) => {
  expect(address(text)).toBe(wanted)
  expect(nameInAddress(wanted)).toBe(nameOfPlace(config(text)))
})

it.each<[string, string, boolean]>([
  ['s3://kept/p?endpoint=http://a:1', 's3://kept/p?endpoint=http://a:1&lock=governance&days=1', true],
  ['s3://kept/p?endpoint=http://a:1', 's3://kept/p?endpoint=http://a:2', false],
  ['s3://kept/p?endpoint=http://a:1', 's3://kept/p', false],
  ['s3://kept/p', 's3://kept/p?endpoint=http://a:1', false],
  ['s3://kept/p', 's3://kept/p?region=eu-central-1', true],
  ['s3://kept/p', 's3://kept/q', false],
  ['s3://kept/p', 'file:///kept/p', false],
  ['file:///kept/p', '/kept/p', true],
  ['file:///kept/p', '/kept/q', false],
])('of an archive in %s, %s is the place: %s', (made, now, same) => {
  expect(isPlaceOf(address(made), address(now))).toBe(same)
})

it('of older archives only the name of the place is known, and it decides', () => {
  const now = address('s3://kept/p?endpoint=http://a:1')
  expect(isPlaceOf('s3://kept/p', now)).toBe(true)
  expect(isPlaceOf('s3://kept/q', now)).toBe(false)
  expect(isPlaceOf('/mnt/archives', '/mnt/archives')).toBe(true)
  // A folder may have any name.
  expect(isPlaceOf('/mnt/a?endpoint=x', '/mnt/a')).toBe(false)
  expect(nameInAddress('/mnt/a?endpoint=x')).toBe('/mnt/a?endpoint=x')
})
