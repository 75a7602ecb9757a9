import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseCheckpointRequest } from '../../src/domain/checkpointRequest.ts'
import {
  defaultTargetTopic,
  isReplayId,
  replayIdOfWorkflowId,
  workflowIdOfReplay,
} from '../../src/domain/replayId.ts'
import {
  normaliseReplayRequest,
  parseReplayRequest,
  sameReplayRequest,
} from '../../src/domain/replayRequest.ts'

const CHECKPOINT = '3f2a9c1e-7d54-4b8a-9e0f-5c6d7e8f9a0b'

function pathsOf(input: unknown): string[] {
  const parsed = parseReplayRequest(input)
  return parsed.ok ? [] : parsed.problems.map((problem) => problem.path)
}

describe('replay request', () => {
  it("takes the seed's request", () => {
    const request = {
      checkpointId: CHECKPOINT.toUpperCase(),
      topic: 'events',
      targetTopic: 'events-replay',
      filters: {
        eventTypes: ['entity.created'],
        sources: ['intelligence-platform'],
        tenantIds: ['tenant-001'],
      },
    }
    expect(parseReplayRequest(request)).toEqual({ ok: true, value: { ...request, checkpointId: CHECKPOINT } })
  })

  it('takes offsets as decimal strings, and as numbers that a double holds exactly', () => {
    const parsed = parseReplayRequest({ topic: 'events', fromOffset: 1000, toOffset: '9223372036854775807' })
    expect(parsed).toEqual({
      ok: true,
      value: { topic: 'events', fromOffset: '1000', toOffset: '9223372036854775807' },
    })
  })

  it.each<[name: string, input: unknown, paths: string[]]>([
    ['nothing', undefined, ['']],
    ['null', null, ['']],
    ['an array', [], ['']],
    ['text', 'events', ['']],
    ['no topic', {}, ['topic']],
    ['an empty topic', { topic: '' }, ['topic']],
    ['a topic with a slash', { topic: 'a/b' }, ['topic']],
    ['a topic ending in a line break', { topic: 'a\n' }, ['topic']],
    ['a topic of 250 characters', { topic: 'a'.repeat(250) }, ['topic']],
    ['the topic ..', { topic: '..' }, ['topic']],
    [
      'extra fields, each by name',
      { topic: 'a', from: 1, filters: { types: [] } },
      ['filters.types', 'from'],
    ],
    ['a checkpoint id that is none', { topic: 'a', checkpointId: 'x' }, ['checkpointId']],
    ['a checkpoint and a start', { topic: 'a', checkpointId: CHECKPOINT, fromOffset: '1' }, ['fromOffset']],
    ['a checkpoint and an end', { topic: 'a', checkpointId: CHECKPOINT, toOffset: '1' }, ['toOffset']],
    ['a negative partition', { topic: 'a', partition: -1 }, ['partition']],
    ['a partition of 2^31', { topic: 'a', partition: 2 ** 31 }, ['partition']],
    ['a fractional partition', { topic: 'a', partition: 0.5 }, ['partition']],
    ['a partition as text', { topic: 'a', partition: '0' }, ['partition']],
    ['a negative offset', { topic: 'a', fromOffset: '-1' }, ['fromOffset']],
    ['a negative offset number', { topic: 'a', fromOffset: -1 }, ['fromOffset']],
    ['a fractional offset', { topic: 'a', fromOffset: 1.5 }, ['fromOffset']],
    ['an offset beyond exact doubles', { topic: 'a', fromOffset: 2 ** 53 }, ['fromOffset']],
    ['an offset of 2^63', { topic: 'a', fromOffset: '9223372036854775808' }, ['fromOffset']],
    ['a huge offset', { topic: 'a', toOffset: '9'.repeat(100_000) }, ['toOffset']],
    ['an offset with a leading zero', { topic: 'a', fromOffset: '01' }, ['fromOffset']],
    ['an offset that is hexadecimal', { topic: 'a', fromOffset: '0x10' }, ['fromOffset']],
    [
      'offsets that are no numbers, both of them',
      { topic: 'a', fromOffset: 'x', toOffset: '5x' },
      ['fromOffset', 'toOffset'],
    ],
    ['an empty offset', { topic: 'a', fromOffset: '' }, ['fromOffset']],
    ['from = to', { topic: 'a', fromOffset: '5', toOffset: '5' }, ['toOffset']],
    ['from > to, where text order differs', { topic: 'a', fromOffset: '10', toOffset: '9' }, ['toOffset']],
    ['an empty range from the start', { topic: 'a', toOffset: '0' }, ['toOffset']],
    ['the source as target', { topic: 'a', targetTopic: 'a' }, ['targetTopic']],
    ['a target that Kafka would refuse', { topic: 'a', targetTopic: 'a b' }, ['targetTopic']],
    ['a topic too long for the default target', { topic: 'a'.repeat(245) }, ['targetTopic']],
    ['filters that are a list', { topic: 'a', filters: [] }, ['filters']],
    ['an empty filter entry', { topic: 'a', filters: { sources: [''] } }, ['filters.sources.0']],
    ['a filter entry with NUL', { topic: 'a', filters: { sources: ['a', '\u0000'] } }, ['filters.sources.1']],
    [
      '1,001 filter entries',
      { topic: 'a', filters: { eventTypes: Array(1_001).fill('a') } },
      ['filters.eventTypes'],
    ],
  ])('refuses %s and names the field', (_name, input, paths) => {
    expect(pathsOf(input).sort()).toEqual(paths)
  })

  it('lists a bounded number of problems for endless nonsense', () => {
    const input = Object.fromEntries(Array.from({ length: 5_000 }, (_, index) => [`${index}`.repeat(300), 1]))
    const parsed = parseReplayRequest(input)
    expect(parsed.ok ? 0 : JSON.stringify(parsed.problems).length).toBeLessThan(30_000)
  })

  it('writes equal wishes in one form', () => {
    const left = { topic: 'a', filters: { sources: ['y', 'x', 'x'], eventTypes: [] } }
    const right = { targetTopic: 'a-replay', filters: { sources: ['x', 'y'] }, topic: 'a' }
    expect(normaliseReplayRequest(left)).toEqual({
      topic: 'a',
      targetTopic: 'a-replay',
      filters: { sources: ['x', 'y'] },
    })
    expect(sameReplayRequest(left, right)).toBe(true)
    expect(sameReplayRequest(left, { ...right, partition: 0 })).toBe(false)
    expect(normaliseReplayRequest({ topic: 'a', filters: {} })).not.toHaveProperty('filters')
  })
})

describe('checkpoint request', () => {
  it("takes the seed's request and the two shorter ones", () => {
    for (const value of [
      { topic: 'events', partition: 0, offset: '5000' },
      { topic: 'events' },
      { topic: 'e', partition: 1 },
    ])
      expect(parseCheckpointRequest(value)).toEqual({ ok: true, value })
  })

  it.each([
    ['an offset without a partition', { topic: 'a', offset: '1' }, 'partition'],
    ['extra fields', { topic: 'a', label: 'x' }, 'label'],
    ['a negative offset', { topic: 'a', partition: 0, offset: '-5' }, 'offset'],
  ])('refuses %s', (_name, input, path) => {
    const parsed = parseCheckpointRequest(input)
    expect(parsed.ok ? [] : parsed.problems.map((problem) => problem.path)).toEqual([path])
  })
})

describe('replay id', () => {
  it('is the workflow id less its prefix, and back', () => {
    const id = fc.stringMatching(/^[A-Za-z0-9._:-]{1,200}$/)
    fc.assert(
      fc.property(id, (text) => {
        expect(replayIdOfWorkflowId(workflowIdOfReplay(text))).toBe(text)
      }),
    )
  })

  it.each([
    '',
    'x',
    'replay/',
    'replay/a b',
    'replay/a/b',
    'Replay/x',
    'xreplay/y',
    `replay/${'a'.repeat(201)}`,
    'replay/a\n',
    'replay/ü',
  ])('is refused in the workflow id %j', (workflowId) => {
    expect(replayIdOfWorkflowId(workflowId)).toBeNull()
  })

  it('cannot be made of what is none', () => {
    expect(isReplayId('a/b')).toBe(false)
    expect(() => workflowIdOfReplay('a/b')).toThrow(RangeError)
    expect(defaultTargetTopic('events')).toBe('events-replay')
  })
})
