/** A count at a moment. */
export interface Sample {
  /** Of a clock that only goes forward. */
  readonly atMs: number
  readonly count: number
}

/**
 * Rates out of samples of a growing count: from the first sample in which something was there to the first in which
 * all was. Stretches can be left out (an outage); start-up before the first growth never counts, unless all came
 * between two samples: then it took no longer than the time between them.
 */
export class RateMeter {
  #stretches: { first: Sample; last: Sample }[] = []
  #empty: Sample | null = null
  #open = false

  add(sample: Sample): void {
    if (sample.count === 0) {
      if (this.#stretches.length === 0) this.#empty = sample
      return
    }
    const current = this.#stretches.at(-1)
    if (!this.#open || current === undefined) {
      this.#stretches.push({ first: sample, last: sample })
      this.#open = true
    } else if (sample.count > current.last.count) current.last = sample
  }

  /** What comes after this counts from its next sample on. */
  interrupt(): void {
    this.#open = false
  }

  /** Events per second over all stretches; 0 when nothing was seen to grow. */
  perSecond(): number {
    let [events, ms] = [0, 0]
    for (const { first, last } of this.#stretches) {
      events += last.count - first.count
      ms += last.atMs - first.atMs
    }
    const only = this.#stretches.length === 1 ? this.#stretches[0]?.first : undefined
    if (ms === 0 && only !== undefined && this.#empty !== null)
      return (only.count / (only.atMs - this.#empty.atMs)) * 1000
    return ms === 0 ? 0 : (events / ms) * 1000
  }
}

/** The middle value; the mean of the two in the middle; NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length / 2
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]]
  return low === undefined || high === undefined ? Number.NaN : (low + high) / 2
}
