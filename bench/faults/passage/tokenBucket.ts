/** At once goes what this much time allows. */
const burstMs = 50

/** Says how many bytes may go now, so that over time it is not more than a rate. */
export class TokenBucket {
  #tokens = 0
  #filledMs: number | undefined

  /** `bytes` of the `wanted` may go now, and more after `waitMs`; 0 when that was all. */
  take(
    wanted: number,
    bytesPerSecond: number,
    nowMs: number,
  ): { readonly bytes: number; readonly waitMs: number } {
    const capacity = Math.max(1, (bytesPerSecond * burstMs) / 1000)
    const passedMs = nowMs - (this.#filledMs ?? nowMs)
    this.#tokens = Math.min(capacity, this.#tokens + (passedMs * bytesPerSecond) / 1000)
    this.#filledMs = nowMs
    // Not byte by byte: a full bucket, or enough for all that is left.
    const enough = Math.min(wanted, Math.floor(capacity))
    if (this.#tokens < enough) return { bytes: 0, waitMs: waitFor(enough - this.#tokens, bytesPerSecond) }
    const bytes = Math.min(wanted, Math.floor(this.#tokens))
    this.#tokens -= bytes
    const next = Math.min(wanted - bytes, Math.floor(capacity))
    return { bytes, waitMs: waitFor(next - this.#tokens, bytesPerSecond) }
  }
}

const waitFor = (tokens: number, perSecond: number): number =>
  tokens <= 0 ? 0 : Math.max(1, (tokens * 1000) / perSecond)
