import { promisify } from 'node:util'
import zlib from 'node:zlib'
import kafkajs from 'kafkajs'
import { compressFrame } from 'lz4-napi'
import { compress } from 'snappy'
import { xerialFrame } from './snappy-frame.ts'
import { codecNames, unpack } from './unpack.ts'

const gzip = promisify(zlib.gzip)
const zstdCompress = promisify(zlib.zstdCompress)
const snappyBlockBytes = 32 * 1024

const packers: Readonly<Record<number, (plain: Buffer) => Promise<Buffer>>> = {
  1: (plain) => gzip(plain),
  2: packSnappy,
  3: (plain) => compressFrame(plain),
  4: (plain) => zstdCompress(plain),
}

/**
 * Gives kafkajs' plain producers and consumers all four codecs, unpacking bounded. Ingest and replay don't need it: they
 * pack and unpack themselves.
 */
export function registerCodecs(): void {
  const codecs: Record<number, () => unknown> = kafkajs.CompressionCodecs
  for (const [type, pack] of Object.entries(packers)) {
    const codec = Number(type)
    codecs[codec] = () => ({
      compress: ({ buffer }: { buffer: Buffer }) => pack(buffer),
      async decompress(packed: Buffer) {
        const unpacked = await unpack(codec, packed)
        if (!unpacked.ok) throw new Error(`${codecNames[codec]}: ${unpacked.problem}`)
        return unpacked.bytes
      },
    })
  }
}

async function packSnappy(plain: Buffer): Promise<Buffer> {
  const blocks: Buffer[] = []
  for (let start = 0; start < plain.length; start += snappyBlockBytes) {
    blocks.push(await compress(plain.subarray(start, start + snappyBlockBytes)))
  }
  return xerialFrame(blocks)
}
