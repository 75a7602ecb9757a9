/**
 * Turns at something that only one may do at a time. Who has the turn calls what `take` resolved with when he is done;
 * the others wait in the order in which they came.
 */
export class Turns {
  #last: Promise<void> = Promise.resolve()

  async take(): Promise<() => void> {
    const before = this.#last
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#last = promise
    await before
    return resolve
  }
}

/**
 * Of having a large batch open. Memory is the process's, and so is the line, however many partitions there are: with six of
 * them and no line, batches that unpack to 64 MiB and bombs took a process to 989 MiB.
 */
export const largeBatches = new Turns()
