import type { Frame, KafkaFrame } from '../contract.ts'
import { type Conversation, type Framing, FramingError } from './framing.ts'

/** What a request says in its head, and an answer belongs to. */
type Head = Omit<KafkaFrame, 'protocol' | 'bytes'>

/** Length, key, version, correlation id, length of the client id (request header v1 and later). */
const requestHeadBytes = 4 + 2 + 2 + 4 + 2
/** Length, correlation id. */
const answerHeadBytes = 4 + 4
const longestBytes = 2 ** 30
/** Requests that wait for their answers; a producer with acks=0 never gets one. */
const mostAwaited = 10_000

/** The framing of Kafka's protocol (https://kafka.apache.org/protocol.html#protocol_messages) on one connection. */
export function kafkaConversation(): Conversation {
  const awaited: Head[] = []
  return { requests: new Requests(awaited), answers: new Answers(awaited) }
}

class Requests implements Framing {
  readonly #awaited: Head[]

  constructor(awaited: Head[]) {
    this.#awaited = awaited
  }

  lengthOf(bytes: Buffer, at: number): number | null {
    if (bytes.length - at < requestHeadBytes) return null
    const clientIdBytes = Math.max(0, bytes.readInt16BE(at + 12))
    if (bytes.length - at < requestHeadBytes + clientIdBytes) return null
    return frameBytes(bytes, at, requestHeadBytes + clientIdBytes)
  }

  frame(bytes: Buffer): Frame {
    return { protocol: 'kafka', ...readHead(bytes, 0), bytes }
  }

  note(bytes: Buffer, at: number): void {
    if (this.#awaited.length === mostAwaited) this.#awaited.shift()
    this.#awaited.push(readHead(bytes, at))
  }
}

class Answers implements Framing {
  readonly #awaited: Head[]

  constructor(awaited: Head[]) {
    this.#awaited = awaited
  }

  lengthOf(bytes: Buffer, at: number): number | null {
    return bytes.length - at < answerHeadBytes ? null : frameBytes(bytes, at, answerHeadBytes)
  }

  frame(bytes: Buffer): Frame | null {
    const head = this.#awaited[this.#find(bytes, 0)]
    return head === undefined ? null : { protocol: 'kafka', ...head, bytes }
  }

  /** Answers come in the order of the requests, so what was asked before this one has got none. */
  note(bytes: Buffer, at: number): void {
    this.#awaited.splice(0, this.#find(bytes, at) + 1)
  }

  #find(bytes: Buffer, at: number): number {
    const correlationId = bytes.readInt32BE(at + 4)
    return this.#awaited.findIndex((head) => head.correlationId === correlationId)
  }
}

function readHead(bytes: Buffer, at: number): Head {
  const clientIdAt = at + requestHeadBytes
  return {
    apiKey: bytes.readInt16BE(at + 4),
    apiVersion: bytes.readInt16BE(at + 6),
    correlationId: bytes.readInt32BE(at + 8),
    clientId: bytes.toString('utf8', clientIdAt, clientIdAt + Math.max(0, bytes.readInt16BE(at + 12))),
  }
}

function frameBytes(bytes: Buffer, at: number, leastBytes: number): number {
  const length = 4 + bytes.readInt32BE(at)
  if (length < leastBytes || length > longestBytes)
    throw new FramingError(`a frame of Kafka's protocol cannot have ${length} bytes`)
  return length
}
