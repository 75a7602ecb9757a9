import { parseSigningKey, type SigningKey } from '../domain/evidence/noteKeys.ts'
import type { Variables } from './variables.ts'

export interface SigningConfig {
  /** Name of the installation: the beginning of its logs' origins, and of its keys. */
  readonly instanceName: string
  /** The key that signs, then the one that follows it; none: checkpoints are stored unsigned. */
  readonly keys: readonly SigningKey[]
  /** For how long a key that is followed by another one goes on signing. */
  readonly overlapMs: number
}

type KeyVariable = 'CHECKPOINT_SIGNING_KEY' | 'CHECKPOINT_NEXT_SIGNING_KEY'

const DEFAULT_INSTANCE_NAME = 'streaming-ingest'
const MS_PER_HOUR = 3_600_000

/** Reads the keys, from variables or files; what is wrong goes into `problems`, without any part of a key. */
export function readSigning(
  values: Partial<Variables>,
  readFile: (path: string) => string,
  problems: string[],
): SigningConfig {
  const first = readKey('CHECKPOINT_SIGNING_KEY', values, readFile, problems)
  const next = readKey('CHECKPOINT_NEXT_SIGNING_KEY', values, readFile, problems)
  if (next !== null && first === null && isGiven('CHECKPOINT_SIGNING_KEY', values) === false)
    problems.push('CHECKPOINT_NEXT_SIGNING_KEY needs CHECKPOINT_SIGNING_KEY, the key that it follows')
  const keys = [first, next].filter((key) => key !== null)
  const instanceName = values.INSTANCE_NAME ?? keys[0]?.verifierKey.name ?? DEFAULT_INSTANCE_NAME
  if (keys.some((key) => key.verifierKey.name !== instanceName))
    problems.push(
      values.INSTANCE_NAME === undefined
        ? 'CHECKPOINT_NEXT_SIGNING_KEY has another name than CHECKPOINT_SIGNING_KEY'
        : 'INSTANCE_NAME is not the name in the signing keys',
    )
  if (first !== null && first.verifierKey.text === next?.verifierKey.text)
    problems.push('CHECKPOINT_NEXT_SIGNING_KEY is the same key as CHECKPOINT_SIGNING_KEY')
  return { instanceName, keys, overlapMs: (values.CHECKPOINT_KEY_OVERLAP_HOURS ?? 0) * MS_PER_HOUR }
}

const isGiven = (name: KeyVariable, values: Partial<Variables>): boolean =>
  values[name] !== undefined || values[`${name}_FILE`] !== undefined

function readKey(
  name: KeyVariable,
  values: Partial<Variables>,
  readFile: (path: string) => string,
  problems: string[],
): SigningKey | null {
  const path = values[`${name}_FILE`]
  if (values[name] !== undefined && path !== undefined) {
    problems.push(`${name} and ${name}_FILE must not both be given`)
    return null
  }
  const named = path === undefined ? name : `${name}_FILE`
  const text = path === undefined ? values[name] : contentOf(path, named, readFile, problems)
  if (text === undefined) return null
  const key = parseSigningKey(text.trim())
  if (key.ok) return key.value
  problems.push(`${named} holds no private key such as pnpm evidence make-key makes`)
  return null
}

/** Of a file that a variable names; what is wrong goes into `problems`. */
export function contentOf(
  path: string,
  name: string,
  readFile: (path: string) => string,
  problems: string[],
): string | undefined {
  try {
    return readFile(path)
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
    problems.push(`${name} names a file that cannot be read (${why})`)
    return undefined
  }
}
