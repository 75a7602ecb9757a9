/** Times from a fault until events moved again; the longest of all counts. */
export class RecoveryClock {
  #longestMs: number | null = null
  #faultMs: number | null = null

  /** The fault happens now. */
  fault(): void {
    this.#faultMs = performance.now()
  }

  /** Events move again; returns how long they did not, ms. */
  moved(): number {
    if (this.#faultMs === null) throw new Error('nothing had to recover')
    const tookMs = performance.now() - this.#faultMs
    this.#faultMs = null
    this.#longestMs = Math.max(this.#longestMs ?? 0, tookMs)
    return tookMs
  }

  get longestMs(): number | null {
    return this.#longestMs
  }
}
