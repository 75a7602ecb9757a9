/**
 * One scan over the bytes of a JSON object that checks the grammar, remembers where each member lies and sorts the
 * members, so that `emit` (jsonEmit.ts) can write the canonical form by copying spans. Whatever is rare or would need
 * care (escapes that have another canonical form, names that are not plain ASCII, repeated names) is not judged but
 * given back as "unsure": the caller then takes the path through JSON.parse. Design §4 has the measurements.
 *
 * The state lives in the module: scanning is synchronous, and one set of arrays serves all decoders.
 */

/** Members and items that one value may have in total; beyond, the scan is unsure. */
const MAX_NODES = 8_192
/** Steps that sorting may take per value: sorting is by insertion, since producers write in a fixed order. */
const MAX_SORT_STEPS = 20_000
/** Digits that a double always holds exactly as written. */
const EXACT_DIGITS = 15
/** Zeros behind `0.` with which a number is still written without an exponent. */
const MAX_FRACTION_ZEROS = 5

/** How a member or an item gets into the canonical form. */
export const nodeKinds = {
  /** The span from the name (or the value, in an array) to the value's end is canonical as it is. */
  verbatim: 0,
  /** The value is canonical as it is, but not what lies between name and value. */
  spaced: 1,
  object: 2,
  array: 3,
  /** A number whose canonical text is another one: `rewrittenNumbers`. */
  number: 4,
} as const

// One entry per member or item, in the order of their ends.
export const nameStart = new Int32Array(MAX_NODES)
export const nameEnd = new Int32Array(MAX_NODES)
export const valueStart = new Int32Array(MAX_NODES)
export const valueEnd = new Int32Array(MAX_NODES)
/** The next member in canonical order, or the next item; −1 at the end. */
export const nextNode = new Int32Array(MAX_NODES)
/** First member or item of the value; −1 when it has none. */
export const firstChild = new Int32Array(MAX_NODES)
export const nodeKind = new Uint8Array(MAX_NODES)
export const rewrittenNumbers: string[] = []

const UNSURE = -1

const byteClass = { plain: 0, quote: 1, backslash: 2, notAscii: 3, control: 4 } as const
const stringBytes = new Uint8Array(256)
for (let byte = 0; byte < 256; byte++) {
  stringBytes[byte] =
    byte === 0x22
      ? byteClass.quote
      : byte === 0x5c
        ? byteClass.backslash
        : byte >= 0x80
          ? byteClass.notAscii
          : byte < 0x20
            ? byteClass.control
            : byteClass.plain
}

/** After a backslash: what JSON.stringify writes in the same way. `\/` and `\u` have other canonical forms. */
const keptEscapes = new Uint8Array(256)
for (const letter of '"\\bfnrt') keptEscapes[letter.charCodeAt(0)] = 1

const nothing = Buffer.alloc(0)
let input: Buffer = nothing
let nodes = 0
let sortSteps = 0
let depthLimit = 0

// What the last value was, beside where it ended.
let lastKind = 0
let lastChild = -1
let lastVerbatim = true
let lastNumber = ''

/** Whether any byte beyond ASCII was met: the caller then checks that the whole is UTF-8. */
export let sawNonAscii = false
/** How many bytes longer than the input the canonical form of numbers is. */
export let numberGrowth = 0
/** First member of the scanned object. */
export let scannedHead = -1

const byteAt = (at: number): number => input[at] as number
const isDigit = (byte: number): boolean => byte >= 0x30 && byte <= 0x39

/**
 * Scans `[start, end)`, which must hold one JSON object and nothing else but white space. True when it is sure that
 * JSON.parse would take it and that the nodes describe it; nothing is said otherwise. UTF-8 is left to the caller.
 */
export function scanObjectText(bytes: Buffer, start: number, end: number, maxDepth: number): boolean {
  input = bytes
  nodes = 0
  sortSteps = 0
  depthLimit = maxDepth
  sawNonAscii = false
  numberGrowth = 0
  const from = skipSpace(start)
  let to = end
  while (to > from && isSpace(byteAt(to - 1))) to--
  // A text that does not end as an object does could make the scan run on into the bytes behind it.
  if (to - from < 2 || byteAt(from) !== 0x7b || byteAt(to - 1) !== 0x7d) return false
  // Positions only grow, so a scan that ends at `to` has read nothing beyond.
  const reached = scanObject(from, 1) === to
  scannedHead = lastChild
  // Or the module would keep a whole fetch alive.
  input = nothing
  return reached
}

const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09

function skipSpace(from: number): number {
  let at = from
  while (isSpace(byteAt(at))) at++
  return at
}

function scanValue(at: number, depth: number): number {
  lastVerbatim = true
  lastKind = nodeKinds.verbatim
  lastChild = -1
  const byte = byteAt(at)
  if (byte === 0x22) return scanString(at + 1)
  if (byte === 0x7b) return scanObject(at, depth + 1)
  if (byte === 0x5b) return scanArray(at, depth + 1)
  if (byte === 0x2d || isDigit(byte)) return scanNumber(at)
  if (byte === 0x74) return isWord(at, 0x72, 0x75, 0x65) ? at + 4 : UNSURE
  if (byte === 0x6e) return isWord(at, 0x75, 0x6c, 0x6c) ? at + 4 : UNSURE
  if (byte === 0x66) return isWord(at, 0x61, 0x6c, 0x73) && byteAt(at + 4) === 0x65 ? at + 5 : UNSURE
  return UNSURE
}

const isWord = (at: number, second: number, third: number, fourth: number): boolean =>
  byteAt(at + 1) === second && byteAt(at + 2) === third && byteAt(at + 3) === fourth

/** From the first byte behind the quote; returns the position behind the closing quote. */
function scanString(from: number): number {
  let at = from
  for (;;) {
    let kind = stringBytes[byteAt(at)]
    while (kind === byteClass.plain) kind = stringBytes[byteAt(++at)]
    if (kind === byteClass.quote) return at + 1
    if (kind === byteClass.notAscii) {
      sawNonAscii = true
      at++
    } else if (kind === byteClass.backslash && keptEscapes[byteAt(at + 1)] === 1) at += 2
    else return UNSURE
  }
}

/** As `scanString`, but sure of printable ASCII without escapes only. */
function scanName(from: number): number {
  let at = from
  let kind = stringBytes[byteAt(at)]
  while (kind === byteClass.plain) kind = stringBytes[byteAt(++at)]
  return kind === byteClass.quote ? at + 1 : UNSURE
}

/** JSON's number grammar; tells whether the text is what ECMAScript (and so RFC 8785) would write. */
function scanNumber(from: number): number {
  let at = from
  if (byteAt(at) === 0x2d) at++
  const integerStart = at
  if (byteAt(at) === 0x30) at++
  else {
    if (!isDigit(byteAt(at))) return UNSURE
    while (isDigit(byteAt(at))) at++
  }
  let digits = at - integerStart
  // −0 is written 0.
  let canonical = !(byteAt(integerStart) === 0x30 && integerStart !== from)
  if (byteAt(at) === 0x2e) {
    const fractionStart = ++at
    while (isDigit(byteAt(at))) at++
    if (at === fractionStart) return UNSURE
    digits += at - fractionStart
    // No zero at the end, and nothing below 0.000001, where ECMAScript begins to write an exponent.
    canonical =
      byteAt(at - 1) !== 0x30 &&
      (byteAt(integerStart) !== 0x30 || zerosFrom(fractionStart) <= MAX_FRACTION_ZEROS)
  }
  const marker = byteAt(at)
  if (marker === 0x65 || marker === 0x45) {
    const sign = byteAt(++at)
    if (sign === 0x2b || sign === 0x2d) at++
    const exponentStart = at
    while (isDigit(byteAt(at))) at++
    if (at === exponentStart) return UNSURE
    canonical = false
  }
  return canonical && digits <= EXACT_DIGITS ? at : rewriteNumber(from, at)
}

function zerosFrom(from: number): number {
  let at = from
  while (byteAt(at) === 0x30) at++
  return at - from
}

function rewriteNumber(from: number, to: number): number {
  if (to - from > 400) return UNSURE
  let text = ''
  for (let at = from; at < to; at++) text += String.fromCharCode(byteAt(at))
  const value = Number(text)
  if (!Number.isFinite(value)) return UNSURE
  const canonical = `${value}`
  if (canonical !== text) {
    lastVerbatim = false
    lastKind = nodeKinds.number
    lastNumber = canonical
    numberGrowth += Math.max(0, canonical.length - text.length)
  }
  return to
}

function addNode(start: number, end: number): number {
  const node = nodes++
  valueStart[node] = start
  valueEnd[node] = end
  nodeKind[node] = lastKind
  firstChild[node] = lastChild
  if (lastKind === nodeKinds.number) rewrittenNumbers[node] = lastNumber
  return node
}

function scanObject(from: number, depth: number): number {
  if (depth > depthLimit) return UNSURE
  let head = -1
  let tail = -1
  let verbatim = true
  let at = from + 1
  if (byteAt(at) <= 0x20) {
    at = skipSpace(at)
    verbatim = false
  }
  if (byteAt(at) === 0x7d) return finishContainer(nodeKinds.object, -1, verbatim, at)
  for (;;) {
    if (byteAt(at) !== 0x22) return UNSURE
    const name = at + 1
    const afterName = scanName(name)
    if (afterName < 0) return UNSURE
    at = afterName
    let spaced = false
    if (byteAt(at) !== 0x3a) {
      at = skipSpace(at)
      if (byteAt(at) !== 0x3a) return UNSURE
      spaced = true
    }
    if (byteAt(++at) <= 0x20) {
      at = skipSpace(at)
      spaced = true
    }
    const start = at
    at = scanValue(start, depth)
    if (at < 0 || nodes >= MAX_NODES) return UNSURE
    if (spaced && lastVerbatim) {
      lastVerbatim = false
      lastKind = nodeKinds.spaced
    }
    if (!lastVerbatim) verbatim = false
    const node = addNode(start, at)
    nameStart[node] = name
    nameEnd[node] = afterName - 1
    if (tail < 0 || compareNames(tail, node) < 0) {
      if (tail < 0) head = node
      else nextNode[tail] = node
      nextNode[node] = -1
      tail = node
    } else {
      verbatim = false
      const newHead = insertSorted(head, node)
      if (newHead < 0) return UNSURE
      head = newHead
    }
    if (byteAt(at) <= 0x20) {
      at = skipSpace(at)
      verbatim = false
    }
    const byte = byteAt(at)
    if (byte === 0x7d) return finishContainer(nodeKinds.object, head, verbatim, at)
    if (byte !== 0x2c) return UNSURE
    if (byteAt(++at) <= 0x20) {
      at = skipSpace(at)
      verbatim = false
    }
  }
}

/** Puts a member before the first with a greater name; returns the list's head, or UNSURE for a repeated name. */
function insertSorted(head: number, node: number): number {
  let before = -1
  let after = head
  for (;;) {
    const order = compareNames(after, node)
    if (order === 0 || ++sortSteps > MAX_SORT_STEPS) return UNSURE
    if (order > 0) break
    before = after
    after = nextNode[after] as number
    if (after < 0) return UNSURE
  }
  nextNode[node] = after
  if (before < 0) return node
  nextNode[before] = node
  return head
}

/** Names are ASCII, where the order of bytes is the order of UTF-16 code units. */
function compareNames(left: number, right: number): number {
  let at = nameStart[left] as number
  let to = nameStart[right] as number
  const leftEnd = nameEnd[left] as number
  const rightEnd = nameEnd[right] as number
  while (at < leftEnd && to < rightEnd) {
    const difference = byteAt(at++) - byteAt(to++)
    if (difference !== 0) return difference
  }
  return leftEnd - at - (rightEnd - to)
}

function scanArray(from: number, depth: number): number {
  if (depth > depthLimit) return UNSURE
  let head = -1
  let tail = -1
  let verbatim = true
  let at = from + 1
  if (byteAt(at) <= 0x20) {
    at = skipSpace(at)
    verbatim = false
  }
  if (byteAt(at) === 0x5d) return finishContainer(nodeKinds.array, -1, verbatim, at)
  for (;;) {
    const start = at
    at = scanValue(start, depth)
    if (at < 0 || nodes >= MAX_NODES) return UNSURE
    if (!lastVerbatim) verbatim = false
    const node = addNode(start, at)
    if (tail < 0) head = node
    else nextNode[tail] = node
    nextNode[node] = -1
    tail = node
    if (byteAt(at) <= 0x20) {
      at = skipSpace(at)
      verbatim = false
    }
    const byte = byteAt(at)
    if (byte === 0x5d) return finishContainer(nodeKinds.array, head, verbatim, at)
    if (byte !== 0x2c) return UNSURE
    if (byteAt(++at) <= 0x20) {
      at = skipSpace(at)
      verbatim = false
    }
  }
}

/** A container that is canonical as it stands is copied whole; its members stay known all the same. */
function finishContainer(kind: number, head: number, verbatim: boolean, closing: number): number {
  lastKind = verbatim ? nodeKinds.verbatim : kind
  lastChild = head
  lastVerbatim = verbatim
  return closing + 1
}
