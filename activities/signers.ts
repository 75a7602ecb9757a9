/** The keys that sign now, recorded before they sign anything. */
import type { KeyPeriod } from '../src/domain/evidence/keyPeriods.ts'
import type { SigningKey } from '../src/domain/evidence/noteKeys.ts'
import { chooseSigners, type SignerChoice } from '../src/domain/evidence/signers.ts'
import { ServiceError } from '../src/errors.ts'
import type { KeyState, SigningKeyStore } from '../src/ports.ts'

export interface CheckpointSigning {
  /** The older first; none: checkpoints are stored unsigned. */
  readonly keys: readonly SigningKey[]
  /** For how long a key that is followed by a new one goes on signing. */
  readonly overlapMs: number
}

export interface Signers {
  readonly keys: readonly SigningKey[]
  /** The instant that the periods of these keys cover. */
  readonly at: Date
  readonly periods: readonly KeyPeriod[]
}

/**
 * Begins the period of a key that is new, and says who signs. Throws SIGNING_KEY_MISSING when the installation signs
 * with keys that are not here, SIGNING_KEY_REFUSED for a key that cannot be this installation's.
 */
export async function currentSigners(
  store: SigningKeyStore,
  { keys, overlapMs }: CheckpointSigning,
): Promise<Signers> {
  const held = keys.map((key) => key.verifierKey)
  const decide = (state: KeyState) => accepted(chooseSigners({ ...state, held, overlapMs }))
  const state = await store.keyState()
  let choice = decide(state)
  if (choice.periods !== state.periods) choice = await store.changeKeys(decide)
  const { signing, atMs } = choice
  return {
    keys: keys.filter(({ verifierKey: { text } }) => signing.some((key) => key.text === text)),
    at: new Date(atMs),
    periods: choice.periods,
  }
}

function accepted(choice: SignerChoice): SignerChoice & { readonly ok: true } {
  if (choice.ok) return choice
  throw new ServiceError(
    choice.fault === 'MISSING' ? 'SIGNING_KEY_MISSING' : 'SIGNING_KEY_REFUSED',
    choice.detail,
  )
}
