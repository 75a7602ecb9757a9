/** A count at a moment. */
export interface Sample {
  /** Of a clock that only goes forward. */
  readonly atMs: number
  readonly count: number
}

/**
 * Rates out of samples of a growing count: from the first sample in which something was there to the first in which
 * all was. Stretches can be left out (an outage); start-up before the first growth never counts.
 */
export class RateMeter {
  #stretches: { first: Sample; last: Sample }[] = []
  #open = false

  add(sample: Sample): void {
    if (sample.count === 0) return
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
