import type { Socket } from 'node:net'
import type { Frame, Late, Verdict } from '../contract.ts'
import { FrameStream } from './frameStream.ts'
import type { Framing } from './framing.ts'
import { type Ending, Outlet, type Rules } from './outlet.ts'

/** Who looks at the frames of a lane. */
export interface Inspection {
  readonly isOn: boolean
  look(frame: Frame): Verdict
  /** What the lane cannot do alone: it concerns the whole connection. */
  cut(): void
  late(frame: Frame, how: Late): void
}

export interface LaneOptions {
  readonly source: Socket
  readonly sink: Socket
  readonly framing: Framing | null
  readonly rules: Rules
  readonly inspection: Inspection
  readonly onForwarded: (bytes: number) => void
}

/** One direction of a connection: from the source through the tap, if there is one, to the outlet. */
export class Lane {
  readonly stream: FrameStream
  readonly #source: Socket
  readonly #outlet: Outlet
  readonly #inspection: Inspection
  #held = false
  #stopped = false
  /** How the source has ended; passed on behind all that it has sent. */
  #ending: Ending | null = null

  constructor({ source, sink, framing, rules, inspection, onForwarded }: LaneOptions) {
    this.stream = new FrameStream(framing)
    this.#source = source
    this.#inspection = inspection
    this.#outlet = new Outlet(sink, rules, onForwarded, () => this.#regulate())
    source.on('data', (chunk: Buffer) => this.#receive(chunk))
    source.on('end', () => this.#finish('end'))
    // A connection that breaks says so in an error; what counts is that it closes without having ended.
    source.on('error', () => this.#finish('reset'))
    source.on('close', () => this.#finish(this.#ending ?? 'reset'))
  }

  get isHeld(): boolean {
    return this.#held
  }

  /** Nothing goes on any more; the source is read on, and what arrives is thrown away. */
  stop(): void {
    this.#stopped = true
    this.#outlet.drop()
    this.#source.resume()
  }

  hurry(): void {
    this.#outlet.hurry()
  }

  #receive(chunk: Buffer): void {
    if (this.#stopped) return
    this.stream.push(chunk)
    this.#advance()
  }

  /** Everything that can go on now, in order. */
  #advance(): void {
    this.#outlet.gather()
    try {
      while (!this.#held && !this.#stopped) {
        const piece = this.stream.next(this.#inspection.isOn)
        if (piece === null) break
        if (piece.frame === null) this.#outlet.write(piece.bytes)
        else this.#judge(piece.frame)
      }
    } catch (error) {
      // Not the protocol that it should be, or a tap that fails: nothing can be promised for what follows.
      this.#inspection.cut()
      throw error
    }
    this.#outlet.flush()
    this.#passEnding()
    this.#regulate()
  }

  #judge(frame: Frame): void {
    const verdict = this.#inspection.look(frame)
    if (verdict === 'pass') {
      this.#outlet.write(frame.bytes)
      return
    }
    // What was let through before this frame is not to suffer with it.
    this.#outlet.flush()
    if (verdict === 'cut') this.#inspection.cut()
    else if (verdict !== 'drop') {
      if ('lateMs' in verdict) this.#inspection.late(frame, verdict)
      else this.#hold(frame, verdict.hold)
    }
  }

  #hold(frame: Frame, until: Promise<void>): void {
    this.#held = true
    until.then(
      () => {
        this.#held = false
        if (this.#stopped) return
        this.#outlet.write(frame.bytes)
        this.#advance()
      },
      () => {
        if (!this.#stopped) this.#inspection.cut()
      },
    )
  }

  #finish(how: Ending): void {
    if (this.#stopped || this.#ending === 'reset' || this.#ending === how) return
    this.#ending = how
    this.#passEnding()
  }

  #passEnding(): void {
    if (this.#ending === null || this.#held || this.#stopped) return
    this.#outlet.write(this.stream.rest())
    this.#outlet.finish(this.#ending)
    if (this.#ending === 'reset') this.#stopped = true
  }

  #regulate(): void {
    if (this.#stopped || this.#source.destroyed) return
    if (this.#held || this.#outlet.isFull) this.#source.pause()
    else this.#source.resume()
  }
}
