/** Latencies of batches, in milliseconds, with a bound on what is kept. */
export class Latencies {
  #values = new Float64Array(1024)
  #count = 0

  add(ms: number): void {
    if (this.#count === this.#values.length) {
      const larger = new Float64Array(this.#count * 2)
      larger.set(this.#values)
      this.#values = larger
    }
    this.#values[this.#count++] = ms
  }

  get count(): number {
    return this.#count
  }

  /** The value that this share of all does not exceed (nearest rank); NaN of nothing. */
  percentiles(shares: readonly number[]): number[] {
    const sorted = this.#values.slice(0, this.#count).sort()
    return shares.map((share) => sorted[Math.max(0, Math.ceil(share * this.#count) - 1)] ?? Number.NaN)
  }
}
