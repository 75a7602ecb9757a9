import { formatSeconds } from '../run/say.ts'

/** Times from a fault until events moved again; the longest of all counts, and the longest of each kind of fault. */
export class RecoveryClock {
  #longestMs: number | null = null
  readonly #longestByKind = new Map<string, number>()
  #since: { readonly kind: string; readonly ms: number } | null = null

  /** The fault happens now, or what it took away is back now: recovery is counted from here. */
  fault(kind = ''): void {
    this.#since = { kind, ms: performance.now() }
  }

  /** Events move again; returns how long they did not, ms. */
  moved(): number {
    if (this.#since === null) throw new Error('nothing had to recover')
    const { kind, ms } = this.#since
    const tookMs = performance.now() - ms
    this.#since = null
    this.#longestMs = Math.max(this.#longestMs ?? 0, tookMs)
    this.#longestByKind.set(kind, Math.max(this.#longestByKind.get(kind) ?? 0, tookMs))
    return tookMs
  }

  get longestMs(): number | null {
    return this.#longestMs
  }

  /** For a note: the longest of each kind, in the order in which the kinds came up. */
  byKind(): string {
    const parts = [...this.#longestByKind].map(([kind, ms]) => `${kind} ${formatSeconds(ms / 1000)}`)
    return `longest recovery: ${parts.join(', ')}`
  }
}
