import { hashFromBytes, hashToHex } from '../../src/domain/hash.ts'
import { appendLeaves, emptyFrontier, rootOf } from '../../src/domain/merkle.ts'
import { type Frontier, type Hash, type LeafIndex, leafIndex } from '../../src/domain/model.ts'
import { inSnapshot, logsOf, rowsOf } from '../judge/logRows.ts'
import type { CheckpointAnswer } from '../run/api.ts'
import { withClient } from '../run/world.ts'

interface Position {
  readonly offset: number
  readonly size: number
  readonly rootHash: string
}

/**
 * Holds what checkpoints have said against the logs as they are now: the first so many leaves have this root, and they
 * are the records below this offset. Returns what is not true any more, in words.
 */
export const checkCheckpoints = (
  ownerUrl: string,
  topic: string,
  checkpoints: readonly CheckpointAnswer[],
): Promise<string[]> =>
  withClient(ownerUrl, (client) =>
    inSnapshot(client, async () => {
      const problems: string[] = []
      for (const { id, partition } of await logsOf(client, topic)) {
        const said = new Prefixes(partition, positionsOf(checkpoints, partition))
        for await (const { offset, leafHash } of rowsOf(client, id))
          said.add(Number(offset), hashFromBytes(leafHash))
        problems.push(...said.problems())
      }
      return problems
    }),
  )

/** In the order of their sizes. */
function positionsOf(checkpoints: readonly CheckpointAnswer[], partition: number): Position[] {
  return checkpoints
    .flatMap(({ positions }) => positions)
    .filter((position) => position.partition === partition)
    .map(({ offset, size, rootHash }) => ({ offset: Number(offset), size: Number(size), rootHash }))
    .sort((a, b) => a.size - b.size)
}

/** Takes the leaves of a log one after another. */
class Prefixes {
  readonly #partition: number
  readonly #problems: string[] = []
  #left: Position[]
  #tree: { size: LeafIndex; frontier: Frontier } = { size: leafIndex(0n), frontier: emptyFrontier }
  #pending: Hash[] = []
  #lastOffset = -1

  constructor(partition: number, positions: readonly Position[]) {
    this.#partition = partition
    this.#left = [...positions]
    this.#compare(0)
  }

  add(offset: number, leaf: Hash): void {
    this.#pending.push(leaf)
    this.#lastOffset = offset
    this.#compare(Number(this.#tree.size) + this.#pending.length)
  }

  problems(): string[] {
    for (const { size } of this.#left) this.#say(`${size} leaves were signed, the log has fewer`)
    return this.#problems
  }

  #compare(size: number): void {
    for (let next = this.#left[0]; next?.size === size; next = this.#left[0]) {
      this.#left.shift()
      const { nodes: _, ...tree } = appendLeaves(this.#tree, this.#pending)
      this.#tree = tree
      this.#pending = []
      const root = hashToHex(rootOf(tree.frontier, tree.size))
      if (root !== next.rootHash)
        this.#say(`the root over ${size} leaves is ${root}, ${next.rootHash} was signed`)
      if (next.offset <= this.#lastOffset)
        this.#say(
          `${size} leaves reach offset ${this.#lastOffset}, signed was that they lie below ${next.offset}`,
        )
    }
  }

  #say(problem: string): void {
    this.#problems.push(`partition ${this.#partition}: ${problem}`)
  }
}
