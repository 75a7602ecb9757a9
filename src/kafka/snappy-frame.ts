/** Java's snappy streams: a magic, two versions, then blocks of a big-endian length and raw snappy (xerial's framing). */
const xerialMagic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const xerialHeader = 16

export interface SnappyBlock {
  readonly start: number
  readonly end: number
  /** What the block says that it unpacks to; unpacking it to anything else fails. */
  readonly unpacked: number
}

/** The raw snappy blocks of a payload, xerial-framed (Java) or bare (librdkafka, Go); null when it is neither. */
export function snappyBlocks(payload: Buffer): SnappyBlock[] | null {
  if (payload.length < xerialHeader || !payload.subarray(0, xerialMagic.length).equals(xerialMagic)) {
    const block = blockAt(payload, 0, payload.length)
    return block === null ? null : [block]
  }
  const blocks: SnappyBlock[] = []
  let at = xerialHeader
  while (at < payload.length) {
    // A stream may be the concatenation of several: each begins with the header again.
    if (payload.subarray(at, at + xerialMagic.length).equals(xerialMagic)) {
      at += xerialHeader
      continue
    }
    if (at + 4 > payload.length) return null
    const length = payload.readInt32BE(at)
    const block = length < 0 ? null : blockAt(payload, at + 4, at + 4 + length)
    if (block === null) return null
    blocks.push(block)
    at = block.end
  }
  return blocks
}

function blockAt(payload: Buffer, start: number, end: number): SnappyBlock | null {
  if (end > payload.length) return null
  let unpacked = 0
  for (let at = start, factor = 1; at < end && factor < 2 ** 35; at++, factor *= 128) {
    const byte = payload[at] ?? 0
    unpacked += (byte & 127) * factor
    if (byte < 128) return { start, end, unpacked }
  }
  return null
}

/** Frames raw snappy blocks as Java does. */
export function xerialFrame(blocks: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(xerialHeader)
  xerialMagic.copy(header)
  header.writeInt32BE(1, 8)
  header.writeInt32BE(1, 12)
  const framed = blocks.flatMap((block) => {
    const length = Buffer.alloc(4)
    length.writeInt32BE(block.length)
    return [length, block]
  })
  return Buffer.concat([header, ...framed])
}
