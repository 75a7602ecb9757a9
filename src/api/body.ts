import type { IncomingMessage } from 'node:http'
import { ServiceError } from '../errors.ts'
import { badRequest } from './problem.ts'

export const maxBodyBytes = 65_536

/**
 * Reads a JSON body of at most 64 KiB. Refuses by the announced length before reading anything, and by what arrives
 * otherwise; nothing is unpacked. An absent body is `undefined`.
 * Throws PAYLOAD_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, BAD_REQUEST.
 */
export async function readJsonBody(req: IncomingMessage): Promise<unknown> {
  const announced = Number(req.headers['content-length'] ?? 0)
  if (announced > maxBodyBytes) throw tooLarge()
  if (!hasBody(req)) return undefined
  refuseOtherTypes(req)
  const text = decodeUtf8(await readBounded(req))
  try {
    return JSON.parse(text)
  } catch {
    throw badRequest([{ path: '', message: 'The body is not JSON' }])
  }
}

export const hasBody = (req: IncomingMessage): boolean =>
  Number(req.headers['content-length'] ?? 0) > 0 || req.headers['transfer-encoding'] !== undefined

function refuseOtherTypes(req: IncomingMessage): void {
  const type = req.headers['content-type']?.split(';')[0]?.trim().toLowerCase()
  if (type !== 'application/json')
    throw new ServiceError('UNSUPPORTED_MEDIA_TYPE', 'Send the body as application/json')
  if ((req.headers['content-encoding'] ?? 'identity').toLowerCase() !== 'identity')
    throw new ServiceError('UNSUPPORTED_MEDIA_TYPE', 'Send the body without a content encoding')
}

function readBounded(req: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    const settle = (outcome: Buffer | ServiceError) => {
      req.off('data', onData).off('end', onEnd).off('error', onBroken).off('close', onBroken)
      if (outcome instanceof ServiceError) {
        req.pause()
        reject(outcome)
      } else resolve(outcome)
    }
    const onData = (chunk: Buffer) => {
      length += chunk.length
      if (length > maxBodyBytes) settle(tooLarge())
      else chunks.push(chunk)
    }
    const onEnd = () => settle(Buffer.concat(chunks, length))
    const onBroken = () => settle(badRequest([{ path: '', message: 'The body ended early' }]))
    req.on('data', onData).on('end', onEnd).on('error', onBroken).on('close', onBroken)
  })
}

function decodeUtf8(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw badRequest([{ path: '', message: 'The body is not UTF-8' }])
  }
}

const tooLarge = (): ServiceError =>
  new ServiceError('PAYLOAD_TOO_LARGE', `A body has at most ${maxBodyBytes} bytes`)
