/** What a look at a piece of evidence comes to: it holds, or why not. Never an exception: evidence comes from outside. */
export type Finding<Value> = { readonly ok: true; readonly value: Value } | Flaw

/**
 * MALFORMED: it cannot be read, so it says nothing. UNVERIFIED: it can be read, and what it says is not shown to be
 * true. `detail` is one line for a person and holds no part of any key, value or header.
 */
export interface Flaw {
  readonly ok: false
  readonly fault: 'MALFORMED' | 'UNVERIFIED'
  readonly detail: string
}

export const holds = <Value>(value: Value): Finding<Value> => ({ ok: true, value })
export const malformed = (detail: string): Flaw => ({ ok: false, fault: 'MALFORMED', detail })
export const unverified = (detail: string): Flaw => ({ ok: false, fault: 'UNVERIFIED', detail })
