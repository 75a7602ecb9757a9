import type { Random } from '../source/random.ts'

/** Every choice comes once, in random order, before any comes again. */
export class Cycle<T> {
  readonly #choices: readonly [T, ...T[]]
  readonly #random: Random
  #left: T[] = []

  constructor(choices: readonly [T, ...T[]], random: Random) {
    this.#choices = choices
    this.#random = random
  }

  next(): T {
    if (this.#left.length === 0) this.#left = [...this.#choices]
    const [drawn] = this.#left.splice(this.#random.below(this.#left.length), 1)
    return drawn ?? this.#choices[0]
  }
}
