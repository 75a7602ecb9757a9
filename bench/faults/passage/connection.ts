import type { Socket } from 'node:net'
import type { Frame, Late, Tap, Verdict } from '../contract.ts'
import type { Conversation } from './framing.ts'
import { type Inspection, Lane } from './lane.ts'
import { LateDelivery } from './lateDelivery.ts'
import { type Rules, reset } from './outlet.ts'

/** What a connection needs of the passage that it is part of. */
export interface Surroundings {
  readonly rules: Rules
  readonly tap: Tap | null
  onForwarded(bytes: number): void
  onClosed(connection: Connection): void
  onLate(delivery: LateDelivery): void
  onDelivered(delivery: LateDelivery): void
}

/** A role's connection to the passage and its continuation to the server. */
export class Connection {
  readonly #client: Socket
  readonly #server: Socket
  readonly #passage: Surroundings
  readonly #requests: Lane
  readonly #answers: Lane
  #isDeaf = false

  constructor(client: Socket, server: Socket, conversation: Conversation | null, passage: Surroundings) {
    this.#client = client
    this.#server = server
    this.#passage = passage
    const shared = { rules: passage.rules, onForwarded: (bytes: number) => passage.onForwarded(bytes) }
    this.#requests = new Lane({
      ...shared,
      source: client,
      sink: server,
      framing: conversation?.requests ?? null,
      inspection: this.#inspection('request'),
    })
    this.#answers = new Lane({
      ...shared,
      source: server,
      sink: client,
      framing: conversation?.answers ?? null,
      inspection: this.#inspection('answer'),
    })
    for (const socket of [client, server]) {
      socket.setNoDelay(true)
      socket.once('close', () => {
        if (client.destroyed && server.destroyed) passage.onClosed(this)
      })
    }
  }

  get isDeaf(): boolean {
    return this.#isDeaf
  }

  get isHeld(): boolean {
    return this.#requests.isHeld || this.#answers.isHeld
  }

  cut(): void {
    this.#stop()
    reset(this.#client)
    reset(this.#server)
  }

  deafen(): void {
    this.#isDeaf = true
    this.#stop()
  }

  hurry(): void {
    this.#requests.hurry()
    this.#answers.hurry()
  }

  #stop(): void {
    this.#requests.stop()
    this.#answers.stop()
  }

  #inspection(direction: keyof Tap): Inspection {
    const passage = this.#passage
    return {
      get isOn() {
        return passage.tap?.[direction] !== undefined
      },
      look: (frame: Frame): Verdict => passage.tap?.[direction]?.(frame) ?? 'pass',
      cut: () => this.cut(),
      // What the server has answered already cannot come late to it.
      late: (frame, how) => (direction === 'request' ? this.#late(frame, how) : this.cut()),
    }
  }

  /** The client is cut off; the connection to the server is the delivery's from here on. */
  #late(frame: Frame, how: Late): void {
    this.#stop()
    reset(this.#client)
    this.#passage.onClosed(this)
    const { stream } = this.#answers
    const delivery = new LateDelivery(this.#server, stream, frame, how, () =>
      this.#passage.onDelivered(delivery),
    )
    this.#passage.onLate(delivery)
  }
}
