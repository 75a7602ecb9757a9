/**
 * The addresses at which a cluster is looked for, one at least. Any of them may be away, or take connections and never answer:
 * the one that answered last comes first, whoever asked.
 */
export class Seeds {
  #addresses: readonly string[]

  constructor(addresses: readonly string[]) {
    this.#addresses = addresses
  }

  /** `host:port`, in the order in which they should be tried. */
  get addresses(): readonly string[] {
    return this.#addresses
  }

  answered(address: string): void {
    this.#addresses = [address, ...this.#addresses.filter((other) => other !== address)]
  }
}
