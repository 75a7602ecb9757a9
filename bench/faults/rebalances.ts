import { api, type Frame, type KafkaBed, type Passage } from './contract.ts'

/** Counts what is appended while the partitions of a group are being shared out, by what crosses the passages. */
export class RebalanceWatch {
  readonly #passages: readonly Passage[]
  /** Members that have asked to join and got no answer, by client id: an answer comes when all have asked. */
  readonly #joining = new Set<string>()
  #joins = 0
  #appends = 0

  constructor(kafka: KafkaBed, postgres: Passage) {
    const nodes = kafka.nodes.map(({ passage }) => passage)
    this.#passages = [...nodes, postgres]
    for (const node of nodes)
      node.tap({ request: (frame) => this.#asked(frame), answer: (frame) => this.#answered(frame) })
    postgres.tap({ answer: (frame) => this.#appended(frame) })
  }

  /** Answers to members that joined or joined again. */
  get joins(): number {
    return this.#joins
  }

  /** COPYs that ended while some member waited for its share. */
  get appends(): number {
    return this.#appends
  }

  close(): void {
    for (const passage of this.#passages) passage.tap(null)
  }

  #asked(frame: Frame): 'pass' {
    if (isJoin(frame)) this.#joining.add(frame.clientId)
    return 'pass'
  }

  #answered(frame: Frame): 'pass' {
    if (isJoin(frame) && this.#joining.delete(frame.clientId)) this.#joins++
    return 'pass'
  }

  #appended(frame: Frame): 'pass' {
    const isCopied = frame.protocol === 'postgres' && frame.type === 'C' && frame.text.startsWith('COPY')
    if (isCopied && this.#joining.size > 0) this.#appends++
    return 'pass'
  }
}

const isJoin = (frame: Frame): frame is Extract<Frame, { protocol: 'kafka' }> =>
  frame.protocol === 'kafka' && frame.apiKey === api.joinGroup
