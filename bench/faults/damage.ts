import type { Damage } from './contract.ts'

export const noDamage: Damage = { lost: 0, doubled: 0, reordered: 0, altered: 0 }

export const addDamage = (a: Damage, b: Damage): Damage => ({
  lost: a.lost + b.lost,
  doubled: a.doubled + b.doubled,
  reordered: a.reordered + b.reordered,
  altered: a.altered + b.altered,
})

export const isUndamaged = ({ lost, doubled, reordered, altered }: Damage): boolean =>
  lost === 0 && doubled === 0 && reordered === 0 && altered === 0

/** `lost 2, altered 1`; `nothing` where all is well. */
export function describeDamage(damage: Damage): string {
  const kinds = (['lost', 'doubled', 'reordered', 'altered'] as const).filter((kind) => damage[kind] > 0)
  return kinds.length === 0 ? 'nothing' : kinds.map((kind) => `${kind} ${damage[kind]}`).join(', ')
}
