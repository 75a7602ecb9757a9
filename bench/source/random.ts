/** Numbers that look random and are a function of a seed: the same seed makes the same input, on every machine. */

/** 32 bits that depend on every bit of the arguments (MurmurHash3's finaliser over each in turn). */
export function mix(seed: number, index: number, salt: number): number {
  let hash = finalise(seed ^ 0x9e3779b9)
  hash = finalise(hash ^ (index >>> 0))
  hash = finalise(hash ^ Math.floor(index / 2 ** 32))
  return finalise(hash ^ salt)
}

function finalise(value: number): number {
  let hash = value
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/** A stream of numbers of its own for each (seed, index, salt): mulberry32. */
export class Random {
  #state: number

  constructor(seed: number, index: number, salt = 0) {
    this.#state = mix(seed, index, salt)
  }

  /** 32 bits. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let value = this.#state
    value = Math.imul(value ^ (value >>> 15), value | 1)
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61)
    return (value ^ (value >>> 14)) >>> 0
  }

  /** A whole number in [0, limit). */
  below(limit: number): number {
    return Math.floor((this.next() / 2 ** 32) * limit)
  }

  pick<T>(choices: readonly [T, ...T[]]): T {
    return choices[this.below(choices.length)] ?? choices[0]
  }

  /** A version 4 UUID (RFC 9562), lower case. */
  uuid(): string {
    const [a, b, c, d] = [this.next(), this.next(), this.next(), this.next()]
    const version = (b & 0x0fff) | 0x4000
    const variant = ((c >>> 16) & 0x3fff) | 0x8000
    return `${hex4(a >>> 16)}${hex4(a)}-${hex4(b >>> 16)}-${hex4(version)}-${hex4(variant)}-${hex4(c)}${hex4(d >>> 16)}${hex4(d)}`
  }
}

const hexOfByte = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))
/** The lower 16 bits; from a table, since formatting ids was a fifth of making an event. */
const hex4 = (value: number): string => `${hexOfByte[(value >>> 8) & 255]}${hexOfByte[value & 255]}`
