import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Frame } from '../../bench/faults/contract.ts'
import { FrameStream } from '../../bench/faults/passage/frameStream.ts'
import { type Framing, FramingError } from '../../bench/faults/passage/framing.ts'
import { kafkaConversation } from '../../bench/faults/passage/kafkaFrames.ts'
import { postgresConversation } from '../../bench/faults/passage/postgresFrames.ts'

const body = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes))

const kafkaRequest = fc
  .record({
    apiKey: fc.integer({ min: 0, max: 80 }),
    apiVersion: fc.integer({ min: 0, max: 20 }),
    correlationId: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    clientId: fc.option(fc.string({ unit: 'grapheme', maxLength: 8 })),
    body,
  })
  .map(({ apiKey, apiVersion, correlationId, clientId, body }) => {
    const name = Buffer.from(clientId ?? '')
    const head = Buffer.alloc(14)
    head.writeInt32BE(10 + name.length + body.length, 0)
    head.writeInt16BE(apiKey, 4)
    head.writeInt16BE(apiVersion, 6)
    head.writeInt32BE(correlationId, 8)
    head.writeInt16BE(clientId === null ? -1 : name.length, 12)
    return Buffer.concat([head, name, body])
  })

const kafkaAnswer = fc.tuple(fc.integer({ min: 0, max: 9 }), body).map(([correlationId, body]) => {
  const head = Buffer.alloc(8)
  head.writeInt32BE(4 + body.length, 0)
  head.writeInt32BE(correlationId, 4)
  return Buffer.concat([head, body])
})

const message = (type: string, body: Buffer): Buffer => {
  const head = Buffer.from(`${type}....`)
  head.writeInt32BE(4 + body.length, 1)
  return Buffer.concat([head, body])
}
const startup = (code: number, body = Buffer.alloc(0)): Buffer => {
  const head = Buffer.alloc(8)
  head.writeInt32BE(8 + body.length, 0)
  head.writeInt32BE(code, 4)
  return Buffer.concat([head, body])
}
const version3 = 3 << 16
const postgresMessage = fc
  .tuple(fc.constantFrom('Q', 'P', 'B', 'E', 'S', 'd', 'c'), body)
  .map(([t, b]) => message(t, b))
const postgresTalk = fc
  .array(postgresMessage, { maxLength: 20 })
  .map((messages) => [startup(version3, Buffer.from('user\0me\0\0')), ...messages])

/** The frames one after another, cut anywhere. */
function cutUp(frames: readonly Buffer[], cuts: readonly number[]): Buffer[] {
  const whole = Buffer.concat(frames)
  const places = [...new Set(cuts.map((cut) => cut % (whole.length + 1)))].sort((a, b) => a - b)
  return [0, ...places].map((place, index) => whole.subarray(place, places[index] ?? whole.length))
}

/** Everything that comes out; `seen` says by turns whether somebody looks. */
function run(
  framing: Framing,
  chunks: readonly Buffer[],
  seen: readonly boolean[],
): { bytes: Buffer; frames: Frame[] } {
  const stream = new FrameStream(framing)
  const out: Buffer[] = []
  const frames: Frame[] = []
  let turn = 0
  for (const chunk of chunks) {
    stream.push(chunk)
    for (;;) {
      const piece = stream.next(seen[turn++ % seen.length] ?? true)
      if (piece === null) break
      out.push(piece.bytes)
      if (piece.frame !== null) frames.push(piece.frame)
    }
  }
  out.push(stream.rest())
  return { bytes: Buffer.concat(out), frames }
}

const cuts = fc.array(fc.nat(5_000), { maxLength: 40 })
const turns = fc.array(fc.boolean(), { minLength: 1, maxLength: 30 })
const kinds = {
  'requests to Kafka': {
    frames: fc.array(kafkaRequest, { maxLength: 20 }),
    make: () => kafkaConversation().requests,
  },
  'answers of Kafka': {
    frames: fc.array(kafkaAnswer, { maxLength: 20 }),
    make: () => kafkaConversation().answers,
  },
  'messages to PostgreSQL': { frames: postgresTalk, make: () => postgresConversation().requests },
  'messages of PostgreSQL': {
    frames: fc.array(postgresMessage, { maxLength: 20 }),
    make: () => postgresConversation().answers,
  },
} as const

describe.each(Object.entries(kinds))('%s', (_name, { frames, make }) => {
  it('come out as they went in, however they arrive and whoever looks when', () => {
    fc.assert(
      fc.property(frames, cuts, turns, (sent, places, seen) => {
        const { bytes, frames: looked } = run(make(), cutUp(sent, places), seen)
        expect(bytes.equals(Buffer.concat(sent))).toBe(true)
        // Whoever looks now and then sees whole frames, some of those that were sent, in their order.
        let at = 0
        for (const frame of looked) {
          at = sent.findIndex((one, index) => index >= at && one.equals(frame.bytes)) + 1
          expect(at).toBeGreaterThan(0)
        }
      }),
    )
  })
})

describe('whoever begins to look', () => {
  it('in the middle of a frame sees the next one', () => {
    const stream = new FrameStream(postgresConversation().answers)
    const [first, second] = [message('d', Buffer.alloc(100)), message('Z', Buffer.from('I'))]
    stream.push(first.subarray(0, 50))
    expect(stream.next(false)).toMatchObject({ bytes: first.subarray(0, 50), frame: null })
    stream.push(Buffer.concat([first.subarray(50), second]))
    expect(stream.next(true)).toMatchObject({ bytes: first.subarray(50), frame: null })
    expect(stream.next(true)).toMatchObject({ bytes: second, frame: { type: 'Z' } })
    expect(stream.next(true)).toBeNull()
  })

  it('and ends to in the middle of one lets it go on as far as it is there', () => {
    const stream = new FrameStream(postgresConversation().answers)
    const frame = message('d', Buffer.alloc(100))
    stream.push(frame.subarray(0, 50))
    expect(stream.next(true)).toBeNull()
    expect(stream.next(false)?.bytes).toEqual(frame.subarray(0, 50))
  })
})

// Answers to nothing that was asked go by unseen.
const seenAlone = Object.entries(kinds).filter(([name]) => name !== 'answers of Kafka')

describe.each(seenAlone)('%s', (_name, { frames, make }) => {
  it('are all seen, one by one, by whoever looks from the beginning', () => {
    fc.assert(
      fc.property(frames, cuts, (sent, places) => {
        const { frames: looked } = run(make(), cutUp(sent, places), [true])
        expect(looked.map(({ bytes }) => bytes)).toEqual(sent)
      }),
    )
  })
})

describe('an answer of Kafka', () => {
  it('carries the head of its request, also when others never got one, and when nobody looked at requests', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(kafkaRequest, { selector: (bytes) => bytes.readInt32BE(8), maxLength: 20 }),
        fc.array(fc.boolean(), { minLength: 1, maxLength: 20 }),
        turns,
        (requests, answered, seen) => {
          const { requests: asking, answers: answering } = kafkaConversation()
          run(asking, [Buffer.concat(requests)], seen)
          const expected = requests.filter((_, index) => answered[index % answered.length])
          const answers = expected.map((request) =>
            Buffer.concat([Buffer.from([0, 0, 0, 5]), request.subarray(8, 12), Buffer.from([7])]),
          )
          const { frames } = run(answering, answers, [true])
          expect(frames).toMatchObject(
            expected.map((request, index) => ({
              apiKey: request.readInt16BE(4),
              apiVersion: request.readInt16BE(6),
              correlationId: request.readInt32BE(8),
              bytes: answers[index],
            })),
          )
        },
      ),
    )
  })
})

describe('a message of PostgreSQL', () => {
  const heads = ({ frames }: { frames: Frame[] }): unknown[] =>
    frames.map((frame) => (frame.protocol === 'postgres' ? [frame.type, frame.text] : frame))

  it('tells its type and its SQL or tag', () => {
    const { requests, answers } = postgresConversation()
    const asked = [
      startup(version3, Buffer.from('user\0me\0\0')),
      message('Q', Buffer.from('select 1\0')),
      message('P', Buffer.from('name\0select $1 -- ü\0\0\0')),
      message('C', Buffer.from('Sname\0')),
    ]
    expect(heads(run(requests, asked, [true]))).toEqual([
      ['', ''],
      ['Q', 'select 1'],
      ['P', 'select $1 -- ü'],
      ['C', ''],
    ])
    const said = [message('C', Buffer.from('SELECT 1\0')), message('Z', Buffer.from('I'))]
    expect(heads(run(answers, said, [true]))).toEqual([
      ['C', 'SELECT 1'],
      ['Z', ''],
    ])
  })

  it('is found behind a refused question for encryption, and nothing is behind an accepted one', () => {
    const asked = [startup(80_877_103), startup(version3, Buffer.from('user\0me\0\0'))]
    for (const [said, seen] of [
      ['N', [['R', '']]],
      ['S', []],
    ] as const) {
      const { requests, answers } = postgresConversation()
      run(requests, asked.slice(0, 1), [true])
      const hello = message('R', Buffer.alloc(4))
      expect(heads(run(answers, [Buffer.from(said), hello], [true]))).toEqual(seen)
      expect(run(requests, asked.slice(1), [true]).frames).toHaveLength(seen.length)
    }
  })
})

describe('what no protocol allows', () => {
  it('is an error', () => {
    expect(() => run(kafkaConversation().requests, [Buffer.alloc(20)], [false])).toThrow(FramingError)
    const wrong = Buffer.from([0x51, 0, 0, 0, 3])
    expect(() => run(postgresConversation().answers, [wrong], [true])).toThrow(FramingError)
  })
})
