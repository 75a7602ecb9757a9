/** What reading archives back found, as the command shows it. Leaves are decimal strings, hashes hex. */

export interface VerifiedArchive {
  readonly id: string
  readonly manifestHash: string
  readonly createdAt: string
  readonly logs: readonly {
    readonly origin: string
    readonly fromLeaf: string
    readonly toLeaf: string
    readonly rootHash: string
    readonly files: number
    /** A signed note covers it, and its key is among those given. */
    readonly signed: boolean
  }[]
}

export interface PlaceVerification {
  readonly archives: readonly VerifiedArchive[]
  /** Bad ones, each with what is wrong first. */
  readonly failed: readonly { readonly id: string; readonly code: string; readonly detail: string }[]
  /** Folders without a manifest: archives that were never finished, or are being made. */
  readonly unfinished: readonly string[]
  /** Folders of others. */
  readonly passedOver: readonly string[]
  /** What was found hidden in the place, and read all the same. */
  readonly remarks: readonly string[]
}
