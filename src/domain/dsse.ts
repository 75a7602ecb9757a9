/** DSSE, the part that needs no payload in hand twice: secure-systems-lab/dsse protocol.md and envelope.md, 1.0.2. */

/** What is signed: "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body, lengths in bytes. */
export function preAuthEncoding(payloadType: string, body: Buffer): Buffer {
  const type = Buffer.from(payloadType, 'utf8')
  return Buffer.concat([
    Buffer.from(`DSSEv1 ${type.length} `, 'latin1'),
    type,
    Buffer.from(` ${body.length} `, 'latin1'),
    body,
  ])
}

export interface DsseSignature {
  /** A hint which key it was; not authenticated. Empty when there is none. */
  readonly keyId: string
  readonly signature: Buffer
}

export interface DsseEnvelope {
  readonly payloadType: string
  /** Null when the payload is known from elsewhere. */
  readonly payload: Buffer | null
  readonly signatures: readonly DsseSignature[]
}

/** An envelope's JSON, of which the payload may be missing; null for anything else. Other members are ignored. */
export function parseEnvelope(text: string): DsseEnvelope | null {
  const envelope = parseObject(text)
  const payloadType = envelope?.['payloadType']
  const given = envelope?.['signatures']
  if (typeof payloadType !== 'string' || !Array.isArray(given)) return null
  const payload = envelope?.['payload'] === undefined ? null : decode(envelope['payload'])
  if (payload === undefined) return null
  const signatures = given.map(parseSignature).filter((signature) => signature !== null)
  return signatures.length === given.length ? { payloadType, payload, signatures } : null
}

function parseSignature(given: unknown): DsseSignature | null {
  if (typeof given !== 'object' || given === null) return null
  const { keyid, sig } = given as { readonly keyid?: unknown; readonly sig?: unknown }
  const signature = decode(sig)
  const keyId = keyid ?? ''
  return signature === undefined || typeof keyId !== 'string' ? null : { keyId, signature }
}

/** Standard or URL-safe base64 with its padding: "verifiers MUST accept either". */
function decode(text: unknown): Buffer | undefined {
  if (typeof text !== 'string') return undefined
  const standard = text.replaceAll('-', '+').replaceAll('_', '/')
  const bytes = Buffer.from(standard, 'base64')
  return bytes.toString('base64') === standard ? bytes : undefined
}

function parseObject(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null
  } catch (error) {
    if (error instanceof SyntaxError) return null
    throw error
  }
}
