import type { Frame } from '../contract.ts'
import { type Conversation, type Framing, FramingError } from './framing.ts'

/** What a client may say before its startup message (https://www.postgresql.org/docs/current/protocol-message-formats.html). */
const sslRequest = 80_877_103
const gssRequest = 80_877_104
const longestBytes = 2 ** 30 + 1024

/** Where a connection is: what the bytes mean depends on what both sides have said before. */
interface Stage {
  /** The startup message has been sent: every message from the client begins with its type now. */
  started: boolean
  /** The client has asked for encryption, and one byte answers that. */
  asked: boolean
  /** Encrypted from here on. */
  opaque: boolean
}

/** The framing of PostgreSQL's protocol, version 3, on one connection. */
export function postgresConversation(): Conversation {
  const stage: Stage = { started: false, asked: false, opaque: false }
  return { requests: new Requests(stage), answers: new Answers(stage) }
}

class Requests implements Framing {
  readonly #stage: Stage

  constructor(stage: Stage) {
    this.#stage = stage
  }

  lengthOf(bytes: Buffer, at: number): number | null {
    if (this.#stage.opaque) return Number.POSITIVE_INFINITY
    if (this.#stage.started) return messageBytes(bytes, at)
    return bytes.length - at < 8 ? null : checked(bytes.readInt32BE(at), 8)
  }

  frame(bytes: Buffer): Frame {
    if (!this.#stage.started) return { protocol: 'postgres', type: '', text: '', bytes }
    const type = String.fromCharCode(bytes[0] ?? 0)
    return { protocol: 'postgres', type, text: requestText(type, bytes), bytes }
  }

  note(bytes: Buffer, at: number): void {
    if (this.#stage.started) return
    const code = bytes.readInt32BE(at + 4)
    if (code === sslRequest || code === gssRequest) this.#stage.asked = true
    else this.#stage.started = true
  }
}

class Answers implements Framing {
  readonly #stage: Stage

  constructor(stage: Stage) {
    this.#stage = stage
  }

  lengthOf(bytes: Buffer, at: number): number | null {
    if (this.#stage.opaque) return Number.POSITIVE_INFINITY
    if (bytes.length === at) return null
    return this.#isEncryptionAnswer(bytes, at) ? 1 : messageBytes(bytes, at)
  }

  frame(bytes: Buffer): Frame | null {
    if (this.#isEncryptionAnswer(bytes, 0)) return null
    const type = String.fromCharCode(bytes[0] ?? 0)
    return { protocol: 'postgres', type, text: type === 'C' ? textAt(bytes, 5) : '', bytes }
  }

  note(bytes: Buffer, at: number): void {
    if (this.#isEncryptionAnswer(bytes, at)) this.#stage.opaque = bytes[at] !== 0x4e
    this.#stage.asked = false
  }

  /** `S`, `G` or `N`; a server that does not know the question says so in an error message. */
  #isEncryptionAnswer(bytes: Buffer, at: number): boolean {
    return this.#stage.asked && bytes[at] !== 0x45
  }
}

/** SQL of Query, and of Parse behind the statement's name. */
function requestText(type: string, bytes: Buffer): string {
  if (type === 'Q') return textAt(bytes, 5)
  return type === 'P' ? textAt(bytes, bytes.indexOf(0, 5) + 1) : ''
}

function textAt(bytes: Buffer, at: number): string {
  const end = bytes.indexOf(0, at)
  return bytes.toString('utf8', at, end < 0 ? bytes.length : end)
}

/** Type, then a length that counts itself. */
function messageBytes(bytes: Buffer, at: number): number | null {
  return bytes.length - at < 5 ? null : 1 + checked(bytes.readInt32BE(at + 1), 4)
}

function checked(length: number, least: number): number {
  if (length < least || length > longestBytes)
    throw new FramingError(`a message of PostgreSQL's protocol cannot have ${length} bytes`)
  return length
}
