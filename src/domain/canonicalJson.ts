/**
 * Canonical JSON, RFC 8785 (JCS): members sorted by UTF-16 code units, ECMAScript's number and string forms, no
 * white space. Pure and free of node:crypto, so that workflows may import it.
 */

/** Why a value has no canonical form. `message` never holds any part of the value. */
export class CanonicalJsonError extends Error {
  readonly reason: 'NOT_JSON' | 'NOT_FINITE' | 'LONE_SURROGATE' | 'TOO_DEEP'

  constructor(reason: CanonicalJsonError['reason'], message: string) {
    super(message)
    this.name = 'CanonicalJsonError'
    this.reason = reason
  }
}

/** Containers inside each other that `canonicalize` follows unless told otherwise; far below any stack's end. */
export const MAX_CANONICAL_DEPTH = 1_000

/** Member names already in their JSON form with the colon; bounded, since producers choose names. */
const quotedKeys = new Map<string, string>()
const MAX_QUOTED_KEYS = 5_000
const MAX_QUOTED_KEY_LENGTH = 64

/** Printable ASCII without quote and backslash: such text is its own JSON form. */
const plainText = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/

/**
 * The canonical form of a plain JSON value (null, boolean, finite number, well-formed string, array, plain object).
 * Throws CanonicalJsonError for anything else: NaN and infinities, lone surrogates in strings and names, holes,
 * undefined, bigint, functions, symbols, Dates and other class instances, and more than `maxDepth` containers
 * inside each other (a cycle ends there too).
 */
export function canonicalize(value: unknown, maxDepth: number = MAX_CANONICAL_DEPTH): string {
  switch (typeof value) {
    case 'string':
      return quote(value)
    case 'number':
      if (!Number.isFinite(value)) throw new CanonicalJsonError('NOT_FINITE', 'a number is not finite')
      return `${value}`
    case 'boolean':
      return value ? 'true' : 'false'
    case 'object':
      if (value === null) return 'null'
      if (maxDepth <= 0) throw new CanonicalJsonError('TOO_DEEP', 'the value is nested too deeply')
      return Array.isArray(value) ? canonicalArray(value, maxDepth - 1) : canonicalObject(value, maxDepth - 1)
    default:
      throw new CanonicalJsonError('NOT_JSON', `JSON has no ${typeof value}`)
  }
}

/**
 * Whether a parsed value's canonical form is the text that it came from. So no member stands there twice, and no reader can
 * take another one than we do. Never throws for what JSON.parse gave.
 */
export function isCanonical(value: unknown, text: string, maxDepth?: number): boolean {
  try {
    return canonicalize(value, maxDepth) === text
  } catch (error) {
    if (error instanceof CanonicalJsonError) return false
    throw error
  }
}

function canonicalArray(items: readonly unknown[], maxDepth: number): string {
  if (items.length === 0) return '[]'
  let text = `[${canonicalize(items[0], maxDepth)}`
  for (let index = 1; index < items.length; index++) text += `,${canonicalize(items[index], maxDepth)}`
  return `${text}]`
}

function canonicalObject(value: object, maxDepth: number): string {
  if (!isPlainObject(value)) throw new CanonicalJsonError('NOT_JSON', 'an object is not a plain object')
  const members = value as Record<string, unknown>
  const names = Object.keys(members)
  if (names.length === 0) return '{}'
  sortByCodeUnits(names)
  let text = '{'
  let separator = ''
  for (const name of names) {
    text += separator + quoteKey(name) + canonicalize(members[name], maxDepth)
    separator = ','
  }
  return `${text}}`
}

/** Plain in any realm: a workflow's sandbox has an Object.prototype of its own. */
function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null || Object.getPrototypeOf(prototype) === null
}

/** In place; most producers write their members in a fixed order, often sorted already. */
function sortByCodeUnits(names: string[]): void {
  for (let index = 1; index < names.length; index++) {
    // `<` on strings compares UTF-16 code units, and so does sort() without a comparator: RFC 8785 §3.2.3.
    if ((names[index - 1] as string) > (names[index] as string)) {
      names.sort()
      return
    }
  }
}

function quote(text: string): string {
  if (text.length < 64 && plainText.test(text)) return `"${text}"`
  if (!text.isWellFormed()) throw new CanonicalJsonError('LONE_SURROGATE', 'a string has a lone surrogate')
  return JSON.stringify(text)
}

function quoteKey(name: string): string {
  const known = quotedKeys.get(name)
  if (known !== undefined) return known
  const quoted = `${quote(name)}:`
  if (name.length <= MAX_QUOTED_KEY_LENGTH && quotedKeys.size < MAX_QUOTED_KEYS) quotedKeys.set(name, quoted)
  return quoted
}
