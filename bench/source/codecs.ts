import { constants, gzipSync, zstdCompressSync } from 'node:zlib'
import { compressFrameSync } from 'lz4-napi'
import { compressSync } from 'snappy'

export type Codec = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'

/** As in the attributes of a record batch (Kafka protocol, "Record Batch"). */
export const codecBits: Readonly<Record<Codec, number>> = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 }

/** `gzipLevel`: 1, the fastest, when left out. */
export function compress(codec: Codec, bytes: Buffer, gzipLevel = 1): Buffer {
  switch (codec) {
    case 'none':
      return bytes
    case 'gzip':
      return gzipSync(bytes, { level: gzipLevel })
    case 'snappy':
      return xerial(bytes)
    case 'lz4':
      return compressFrameSync(bytes)
    case 'zstd':
      return zstdCompressSync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: 1 } })
    default: {
      const unknown: never = codec
      throw new Error(`no codec ${String(unknown)}`)
    }
  }
}

/** Kafka's snappy is snappy-java's stream: a magic, two versions, then blocks with their lengths. */
const xerialHead = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1])
const xerialBlockBytes = 32 * 1024

function xerial(bytes: Buffer): Buffer {
  const parts: Buffer[] = [xerialHead]
  for (let at = 0; at < bytes.length; at += xerialBlockBytes) {
    const block = compressSync(bytes.subarray(at, at + xerialBlockBytes))
    const length = Buffer.alloc(4)
    length.writeInt32BE(block.length)
    parts.push(length, block)
  }
  return Buffer.concat(parts)
}
