/** What a member tells the leader beside its topics: the group protocol's user data. */
export interface MemberState {
  /** The process that the member runs in. */
  readonly instance: string
  /** Partitions of its topic that it holds now. */
  readonly owned: readonly number[]
}

export function encodeMemberState(state: MemberState & { partitions: readonly number[] }): Buffer {
  return Buffer.from(JSON.stringify(state))
}

/** Tolerates anything: members of other versions are then assigned without regard to what they hold. */
export function decodeMemberState(bytes: Buffer): MemberState {
  const nothing: MemberState = { instance: '', owned: [] }
  let parsed: unknown
  try {
    parsed = JSON.parse(bytes.toString())
  } catch {
    return nothing
  }
  if (typeof parsed !== 'object' || parsed === null) return nothing
  const { instance, owned } = parsed as { instance?: unknown; owned?: unknown }
  return {
    instance: typeof instance === 'string' ? instance : '',
    owned: Array.isArray(owned) ? owned.filter((partition) => Number.isInteger(partition)) : [],
  }
}
