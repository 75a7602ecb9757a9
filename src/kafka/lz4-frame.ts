/** LZ4 frames, walked without unpacking: https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md */

const magic = 0x184d2204
const uncompressedBlock = 0x8000_0000
const blockSizes: Readonly<Record<number, number>> = { 4: 65_536, 5: 262_144, 6: 1_048_576, 7: 4_194_304 }

/**
 * The exact size that a frame unpacks to, or null when it is not a well-formed frame. The frame's own content size is not
 * believed. Costs little: block headers only, and each block's sequences only when the blocks' limits add up to more than
 * `limit`, so whoever compares the answer with `limit` gets the exact verdict.
 */
export function lz4UnpackedSize(frame: Buffer, limit: number): number | null {
  const blocks = readBlocks(frame)
  if (blocks === null) return null
  const bound = blocks.reduce((sum, block) => sum + block.bound, 0)
  if (bound <= limit) return bound
  let size = 0
  for (const block of blocks) {
    const unpacked = block.compressed ? blockSize(frame, block.start, block.end) : block.end - block.start
    if (unpacked === null) return null
    size += unpacked
  }
  return size
}

interface Block {
  readonly start: number
  readonly end: number
  readonly compressed: boolean
  readonly bound: number
}

function readBlocks(frame: Buffer): Block[] | null {
  if (frame.length < 7 || frame.readUInt32LE(0) !== magic) return null
  const flags = frame.readUInt8(4)
  const maxBlock = blockSizes[(frame.readUInt8(5) >> 4) & 7]
  if (flags >> 6 !== 1 || maxBlock === undefined) return null
  const checksumSize = (flags & 0x10) !== 0 ? 4 : 0
  const blocks: Block[] = []
  let at = 7 + ((flags & 0x08) !== 0 ? 8 : 0) + ((flags & 0x01) !== 0 ? 4 : 0)
  while (at + 4 <= frame.length) {
    const word = frame.readUInt32LE(at)
    if (word === 0) return blocks
    const compressed = (word & uncompressedBlock) === 0
    const length = word & 0x7fff_ffff
    const start = at + 4
    const end = start + length
    if (length > maxBlock || end + checksumSize > frame.length) return null
    blocks.push({ start, end, compressed, bound: compressed ? maxBlock : length })
    at = end + checksumSize
  }
  return null
}

/** Sums literals and matches of a block's sequences; null when they run over its end. */
function blockSize(frame: Buffer, start: number, end: number): number | null {
  let size = 0
  let at = start
  const extended = (nibble: number): number => {
    let length = nibble
    if (nibble === 15) {
      let byte = 255
      while (byte === 255 && at < end) {
        byte = frame[at++] ?? 0
        length += byte
      }
    }
    return length
  }
  while (at < end) {
    const token = frame[at++] ?? 0
    const literals = extended(token >> 4)
    size += literals
    at += literals
    if (at === end) return size
    at += 2 // the match's offset
    if (at > end) return null
    size += 4 + extended(token & 15)
  }
  return null
}
