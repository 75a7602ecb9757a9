import { promisify } from 'node:util'
import { constants, zstdCompress, zstdDecompress } from 'node:zlib'
import type { ArchiveCodec } from '../../ports.ts'

/** The least that Node.js takes, and room to see that there is more than was said. */
const MIN_CHUNK_BYTES = 64
const compress = promisify(zstdCompress)
const decompress = promisify(zstdDecompress)

/** Zstandard (RFC 8878) with a checksum of the content: `zstd -dc` reads it. The same content gives the same bytes. */
export const zstdCodec: ArchiveCodec = {
  pack: (content) =>
    compress(content, {
      params: { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_checksumFlag]: 1 },
    }),
  async unpack(packed, unpackedBytes) {
    try {
      // Whatever the file claims, no more than that is unpacked; in one piece, since many would be copied into one.
      const content = await decompress(packed, {
        maxOutputLength: Math.max(1, unpackedBytes),
        chunkSize: unpackedBytes + MIN_CHUNK_BYTES,
      })
      return content.length === unpackedBytes ? content : null
    } catch (error) {
      if (error instanceof Error && 'code' in error) return null
      throw error
    }
  },
}
