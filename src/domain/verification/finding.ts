/** What a verification finds. Plain JSON, since it travels through Temporal; free of Node's modules, since workflows import it. */

export const findingKinds = [
  /** Key, value, headers or timestamp are not those that the leaf was made of. */
  'altered-bytes',
  /** A column does not follow from the bytes. */
  'altered-column',
  /** Leaves that the log counts and no row stands for. */
  'missing',
  /** A row that the log does not count. */
  'inserted',
  /** Several rows claim one leaf, and nothing that is stored tells which is the log's. */
  'contested',
  /** Rows name a log that has no row of its own. */
  'log-missing',
  /** Rows that stand in each other's place, or among rows of another time. */
  'reordered',
  /** One or more rows of a block were rewritten together with their leaf hashes. */
  'rewritten',
  /** A row of log_nodes does not follow from the leaves below it. */
  'node',
  /** The log's own row does not follow from its leaves. */
  'frontier',
  /** A checkpoint says another root, or covers what the log does not have. */
  'checkpoint',
  /** A record of the target that was produced before. */
  'doubled',
  /** What is on the target has another root than the receipt says. */
  'root',
] as const
export type FindingKind = (typeof findingKinds)[number]

export interface Finding {
  readonly kind: FindingKind
  /** First leaf that it is about; null when it is about none. */
  readonly leafIndex: string | null
  /** Source offset of that leaf's row, where there is one. */
  readonly offset: string | null
  /** Leaves or rows that it is about. */
  readonly count: string
  /** The column at fault, or several with commas. */
  readonly column?: string
  readonly checkpointId?: string
  /** Offset on the target of a replay. */
  readonly targetOffset?: string
  /** For people; never holds a value. */
  readonly detail: string
}

export type FindingCounts = Readonly<Partial<Record<FindingKind, string>>>

/** Most that are kept of one log, besides the first of each kind; the counts go on. */
export const MAX_FINDINGS = 20

export interface Findings {
  /** In the order of the log, as far as they are kept: the first is the first bad row. */
  readonly kept: readonly Finding[]
  readonly counts: FindingCounts
}

export const noFindings: Findings = { kept: [], counts: {} }

export function addFindings({ kept, counts }: Findings, found: readonly Finding[]): Findings {
  if (found.length === 0) return { kept, counts }
  const sums: Partial<Record<FindingKind, string>> = { ...counts }
  for (const { kind, count } of found) sums[kind] = String(BigInt(sums[kind] ?? 0) + BigInt(count))
  const all = [...kept]
  for (const finding of found)
    if (all.length < MAX_FINDINGS || all.every(({ kind }) => kind !== finding.kind)) all.push(finding)
  return { kept: all, counts: sums }
}

export const isDamaged = ({ counts }: Findings): boolean => Object.keys(counts).length > 0

/** In the order of the log; what is about no leaf comes last. */
export function inLogOrder(found: readonly Finding[]): Finding[] {
  return [...found].sort((left, right) => {
    if (left.leafIndex === null || right.leafIndex === null)
      return Number(left.leafIndex === null) - Number(right.leafIndex === null)
    const difference = BigInt(left.leafIndex) - BigInt(right.leafIndex)
    return difference < 0n ? -1 : Number(difference > 0n)
  })
}
