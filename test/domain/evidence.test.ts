import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { createDecoder, MAX_JSON_DEPTH } from '../../src/domain/decode.ts'
import {
  canonicalEvent,
  MAX_POLICY_TAGS,
  MAX_TIMESTAMP_MS,
  MAX_TRANSFORMATIONS,
  policyOf,
  type SourceEvent,
} from '../../src/domain/eventSchema.ts'
import { hashToHex } from '../../src/domain/hash.ts'
import { MAX_UNPACKED_BATCH_BYTES } from '../../src/domain/leaf.ts'
import { deadLetterCodes } from '../../src/domain/model.ts'

const specification = readFileSync(new URL('../../docs/evidence.md', import.meta.url), 'utf8')
const indented = specification.split('\n').flatMap((line) => (line.startsWith('    ') ? [line.trim()] : []))
const exampleFrom = (start: string): string => indented.find((line) => line.startsWith(start)) ?? ''

describe('docs/evidence.md', () => {
  it('shows a content hash that is true', () => {
    const value = Buffer.from(exampleFrom('{"id"'))
    const event = JSON.parse(value.toString()) as SourceEvent
    expect(canonicalEvent(event, policyOf(event))).toBe(exampleFrom('{"classification"'))
    const decoded = createDecoder({ maxValueBytes: 10_000, fastPath: true })(value, 0, value.length)
    if (decoded.kind !== 'event') throw new Error(decoded.detail)
    expect(indented).toContain(hashToHex(decoded.contentHash))
  })

  it('shows the first leaf of the vectors', () => {
    const { cases } = JSON.parse(
      readFileSync(new URL('../vectors/leaves.json', import.meta.url), 'utf8'),
    ) as { cases: [{ preimage: string; leaf: string }] }
    const bytes = indented
      .filter((line) => /^[0-9a-f]+( [0-9a-f]+)+$/.test(line))
      .join('')
      .replaceAll(' ', '')
    expect(bytes).toBe(cases[0].preimage)
    expect(indented).toContain(`leaf ${cases[0].leaf}`)
  })

  it('names the limits that the code has', () => {
    for (const limit of [MAX_UNPACKED_BATCH_BYTES, MAX_TRANSFORMATIONS])
      expect(specification).toContain(limit.toLocaleString('en-US'))
    for (const limit of [MAX_TIMESTAMP_MS, MAX_POLICY_TAGS, MAX_JSON_DEPTH])
      expect(specification).toContain(`${limit}`)
  })

  it('names the codes of the decoder only as the list has them', () => {
    const named = [...specification.matchAll(/^\| `([A-Z_0-9]+)` \|/gm)].map((match) => match[1])
    expect(named).toHaveLength(8)
    for (const code of named) expect(deadLetterCodes).toContain(code)
  })
})
