const MAX_KEPT = 1_000

/** What was found out about a place while it was read. */
export interface Remarks {
  remark(text: string): void
  remarks(): readonly string[]
}

/** `told` hears each at once, also what was said before. */
export function createRemarks(told: (text: string) => void): Remarks {
  const kept = new Set<string>()
  let more = 0
  return {
    remark(text) {
      told(text)
      if (kept.has(text)) return
      if (kept.size < MAX_KEPT) kept.add(text)
      else more++
    },
    remarks: () => [...kept, ...(more === 0 ? [] : [`and ${more} more of the kind`])],
  }
}
