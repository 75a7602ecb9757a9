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

/**
 * What is opened without further ado. Producers' batches are smaller: librdkafka and Java fill them up to 16 KB or a
 * mebibyte before they are packed.
 */
export const SMALL_UNPACKED_BYTES = 4 * 1024 * 1024

/**
 * Unpacks the records of a batch. At most MAX_UNPACKED_BATCH_BYTES are ever made, whatever the input claims; the verdict
 * depends on the input alone. Throws only when memory runs out: that is no property of the data.
 */
export const unpack = async (codec: number, payload: Buffer): Promise<Unpacked> =>
  (await unpackSmall(codec, payload)) ?? unpackLarge(codec, payload)

/** As `unpack`; null when it is more than SMALL_UNPACKED_BYTES. */
export const unpackSmall = (codec: number, payload: Buffer): Promise<Unpacked | null> =>
  unpackWithin(codec, payload, SMALL_UNPACKED_BYTES, undefined)

/** As `unpack`, for what is not small: one piece of memory from the beginning, of which only what is used is taken. */
export const unpackLarge = async (codec: number, payload: Buffer): Promise<Unpacked> =>
  (await unpackWithin(codec, payload, MAX_UNPACKED_BATCH_BYTES, MAX_UNPACKED_BATCH_BYTES + 1)) ??
  problem(`it unpacks to more than ${MAX_UNPACKED_BATCH_BYTES} bytes`)

/** Null when it is more than `limit` bytes; `chunkSize`: of zlib. */
async function unpackWithin(
  codec: number,
  payload: Buffer,
  limit: number,
  chunkSize: number | undefined,
): Promise<Unpacked | null> {
  switch (codecNames[codec]) {
    case 'none':
      return payload.length > limit ? null : { ok: true, bytes: payload }
    case 'gzip':
      return inflate('gzip', () => gunzip(payload, { maxOutputLength: limit, chunkSize }))
    case 'zstd':
      return inflate('zstd', () =>
        zstdDecompress(payload, {
          maxOutputLength: limit,
          chunkSize,
          params: { [zlib.constants.ZSTD_d_windowLogMax]: zstdWindowLog },
        }),
      )
    case 'snappy':
      return unpackSnappy(payload, limit)
    case 'lz4':
      return unpackLz4(payload, limit)
    default:
      return problem(`compression type ${codec} is not known`)
  }
}

async function unpackSnappy(payload: Buffer, limit: number): Promise<Unpacked | null> {
  const blocks = snappyBlocks(payload)
  if (blocks === null) return problem('snappy: the blocks are malformed')
  const size = blocks.reduce((sum, { unpacked }) => sum + unpacked, 0)
  if (size > limit) return null
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

async function unpackLz4(payload: Buffer, limit: number): Promise<Unpacked | null> {
  const size = lz4UnpackedSize(payload, limit)
  if (size === null) return problem('lz4: the frame is malformed')
  if (size > limit) return null
  return inflate('lz4', () => decompressFrame(payload))
}

/** Null when it unpacks to more than it may. */
async function inflate(name: string, work: () => Promise<Buffer>): Promise<Unpacked | null> {
  try {
    return { ok: true, bytes: await work() }
  } catch (error) {
    const code = codeOf(error)
    if (code === 'ERR_BUFFER_TOO_LARGE') return null
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
