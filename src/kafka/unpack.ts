import { promisify } from 'node:util'
import zlib from 'node:zlib'
import { decompressFrame } from 'lz4-napi'
import { uncompress } from 'snappy'
import { MAX_UNPACKED_BATCH_BYTES } from '../domain/leaf.ts'
import { lz4UnpackedSize } from './lz4-frame.ts'
import { snappyBlocks } from './snappy-frame.ts'

/** The unpacked bytes, or what is wrong with the packed ones. */
export type Unpacked =
  | { readonly ok: true; readonly bytes: Buffer }
  | { readonly ok: false; readonly problem: string }

export const codecNames = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

const gunzip = promisify(zlib.gunzip)
const zstdDecompress = promisify(zlib.zstdDecompress)
/** Windows of at most 128 MiB, zstd's own default, said here because what unpacks is part of what a leaf means. */
const zstdWindowLog = 27

const tooLarge = problem(`it unpacks to more than ${MAX_UNPACKED_BATCH_BYTES} bytes`)

/**
 * Unpacks the records of a batch. At most MAX_UNPACKED_BATCH_BYTES are ever made, whatever the input claims; the verdict
 * depends on the input alone. Throws only when memory runs out: that is no property of the data.
 */
export async function unpack(codec: number, payload: Buffer): Promise<Unpacked> {
  switch (codecNames[codec]) {
    case 'none':
      return payload.length > MAX_UNPACKED_BATCH_BYTES ? tooLarge : { ok: true, bytes: payload }
    case 'gzip':
      return inflate('gzip', () => gunzip(payload, { maxOutputLength: MAX_UNPACKED_BATCH_BYTES }))
    case 'zstd':
      return inflate('zstd', () =>
        zstdDecompress(payload, {
          maxOutputLength: MAX_UNPACKED_BATCH_BYTES,
          params: { [zlib.constants.ZSTD_d_windowLogMax]: zstdWindowLog },
        }),
      )
    case 'snappy':
      return unpackSnappy(payload)
    case 'lz4':
      return unpackLz4(payload)
    default:
      return problem(`compression type ${codec} is not known`)
  }
}

async function unpackSnappy(payload: Buffer): Promise<Unpacked> {
  const blocks = snappyBlocks(payload)
  if (blocks === null) return problem('snappy: the blocks are malformed')
  const size = blocks.reduce((sum, { unpacked }) => sum + unpacked, 0)
  if (size > MAX_UNPACKED_BATCH_BYTES) return tooLarge
  return inflate('snappy', async () => {
    const parts: Buffer[] = []
    for (const { start, end } of blocks) {
      const part = await uncompress(payload.subarray(start, end), { asBuffer: true })
      parts.push(Buffer.from(part))
    }
    const [only] = parts
    return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts)
  })
}

async function unpackLz4(payload: Buffer): Promise<Unpacked> {
  const size = lz4UnpackedSize(payload, MAX_UNPACKED_BATCH_BYTES)
  if (size === null) return problem('lz4: the frame is malformed')
  if (size > MAX_UNPACKED_BATCH_BYTES) return tooLarge
  return inflate('lz4', () => decompressFrame(payload))
}

async function inflate(name: string, work: () => Promise<Buffer>): Promise<Unpacked> {
  try {
    return { ok: true, bytes: await work() }
  } catch (error) {
    const code = codeOf(error)
    if (code === 'ERR_BUFFER_TOO_LARGE') return tooLarge
    if (/MEM/.test(code)) throw error
    return problem(/^[A-Z][A-Za-z_]+$/.test(code) ? `${name}: ${code}` : `${name}: the data is malformed`)
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

function problem(text: string): Unpacked {
  return { ok: false, problem: text }
}
