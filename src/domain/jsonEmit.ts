/** Writes the canonical form of what jsonScan.ts has scanned, into one buffer that is used again and again. */
import {
  firstChild,
  nameEnd,
  nameStart,
  nextNode,
  nodeKind,
  nodeKinds,
  rewrittenNumbers,
  valueEnd,
  valueStart,
} from './jsonScan.ts'

/** Canonical forms up to this size are written here; Kafka's own limit for a record is 1 MiB by default. */
export const EMIT_BYTES = 1 << 20
/** Up to here a loop copies faster than a call into C++ (measured: 80 bytes). */
const MAX_LOOP_COPY = 80
/** Views on the output kept per length, since making one costs as much as scanning a small event. */
const MAX_KEPT_VIEW_BYTES = 4_096

const output = Buffer.alloc(EMIT_BYTES)
const views: (Buffer | undefined)[] = []
let length = 0

export function startEmit(): void {
  length = 0
}

/** What was written since `startEmit`; valid until the next one. */
export function emitted(): Buffer {
  if (length > MAX_KEPT_VIEW_BYTES) return output.subarray(0, length)
  const view = views[length] ?? output.subarray(0, length)
  views[length] = view
  return view
}

/** Writes a byte. */
export function emitByte(byte: number): void {
  output[length++] = byte
}

/** Writes fixed bytes, such as the names of the envelope. */
export function emitBytes(bytes: Uint8Array): void {
  for (let index = 0; index < bytes.length; index++) output[length++] = bytes[index] as number
}

/** Writes a text of ASCII characters. */
export function emitAscii(text: string): void {
  for (let index = 0; index < text.length; index++) output[length++] = text.charCodeAt(index)
}

/** Copies the span `[from, to)` of the input. */
export function emitSpan(input: Buffer, from: number, to: number): void {
  if (to - from > MAX_LOOP_COPY) {
    length += input.copy(output, length, from, to)
    return
  }
  let at = length
  for (let index = from; index < to; index++) output[at++] = input[index] as number
  length = at
}

/** Writes the value of a node in its canonical form. */
export function emitValue(input: Buffer, node: number): void {
  switch (nodeKind[node]) {
    case nodeKinds.object:
      emitObject(input, firstChild[node] as number)
      return
    case nodeKinds.array:
      emitArray(input, firstChild[node] as number)
      return
    case nodeKinds.number:
      length += output.write(rewrittenNumbers[node] as string, length, 'latin1')
      return
    default:
      emitSpan(input, valueStart[node] as number, valueEnd[node] as number)
  }
}

function emitObject(input: Buffer, head: number): void {
  emitByte(0x7b)
  for (let node = head; node >= 0; node = nextNode[node] as number) {
    if (node !== head) emitByte(0x2c)
    const name = (nameStart[node] as number) - 1
    if (nodeKind[node] === nodeKinds.verbatim) emitSpan(input, name, valueEnd[node] as number)
    else {
      emitSpan(input, name, (nameEnd[node] as number) + 1)
      emitByte(0x3a)
      emitValue(input, node)
    }
  }
  emitByte(0x7d)
}

function emitArray(input: Buffer, head: number): void {
  emitByte(0x5b)
  for (let node = head; node >= 0; node = nextNode[node] as number) {
    if (node !== head) emitByte(0x2c)
    emitValue(input, node)
  }
  emitByte(0x5d)
}
