/**
 * Bytes of standard base64 with its padding (RFC 4648 §4) and zero pad bits, so that bytes have one spelling; null for
 * anything else. Buffer.from alone would skip what it does not understand.
 */
export function decodeBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : null
}
