/** A witness as others run it: C2SP tlog-witness.md, `add-checkpoint`. */
import { hashToBase64, parseSize } from '../domain/evidence/checkpointNote.ts'
import { readCosignatures, type WitnessKey } from '../domain/evidence/cosignature.ts'
import { formatNote, parseNote } from '../domain/evidence/note.ts'
import { type Hash, type LeafIndex, leafIndex } from '../domain/model.ts'
import { LogNotTaken, ServiceError } from '../errors.ts'
import type { EventLogReader, NotePlace, NoteToPlace, Placement } from '../ports.ts'

export interface WitnessPlaceOptions {
  readonly name: string
  /** Submission prefix, without a slash at its end. */
  readonly url: string
  readonly key: WitnessKey
  /** Proofs that the log was only appended to. */
  readonly log: Pick<EventLogReader, 'logById' | 'consistencyProof'>
}

const REQUEST_MS = 15_000
const MAX_ANSWER_BYTES = 65_536
const SIZE_TYPE = 'text/x.tlog.size'

export const createWitnessPlace = (options: WitnessPlaceOptions): NotePlace => ({
  name: options.name,
  place: (note, context) => askWitness(options, note, context.heldSize, context.signal),
  close: () => undefined,
})

/** Asks with the size that the witness should know; when it names another one, once more with that. */
async function askWitness(
  options: WitnessPlaceOptions,
  note: NoteToPlace,
  heldSize: LeafIndex,
  signal: AbortSignal,
): Promise<Placement> {
  const parsed = parseNote(note.note)
  if (!parsed.ok) return { outcome: 'conflict', detail: 'the note that the database holds cannot be read' }
  const { text } = parsed.value
  let from = heldSize > note.size ? note.size : heldSize
  for (let attempt = 1; attempt <= 2; attempt++) {
    const hashes = await proofOf(options.log, note, from)
    const answer = await post(options, requestBody(from, hashes, note.note), signal)
    if (answer.status === 200) return cosigned(options, text, answer.body)
    if (answer.status === 409 && answer.type === SIZE_TYPE) {
      const known = parseSize(answer.body.replace(/\n$/, ''))
      if (known === null) throw unavailable('its answer names no size')
      if (known > note.size) return await seenMore(options, note, known)
      if (known !== from) {
        from = leafIndex(known)
        continue
      }
    }
    if (answer.status === 409 || answer.status === 422)
      return { outcome: 'conflict', detail: 'the witness has seen another history of this log' }
    throw refusalOf(answer.status)
  }
  throw unavailable('it names another size each time')
}

const proofOf = async (
  log: WitnessPlaceOptions['log'],
  { logId, size }: NoteToPlace,
  from: LeafIndex,
): Promise<readonly Hash[]> =>
  from === 0n || from === size ? [] : await log.consistencyProof(logId, from, size)

const requestBody = (from: LeafIndex, hashes: readonly Hash[], note: string): string =>
  `old ${from}\n${hashes.map((hash) => `${hashToBase64(hash)}\n`).join('')}\n${note}`

function cosigned({ key }: WitnessPlaceOptions, text: string, body: string): Placement {
  const read = readCosignatures(text, body, key)
  if (!read.ok) throw unavailable(read.detail)
  const note = formatNote({ text, signatures: read.value.map(({ line }) => line) })
  return { outcome: 'held', cosignatures: note.slice(text.length + 1) }
}

/**
 * It cosigns nothing older than what it knows. Where it knows more than there is, nothing is judged yet: a log that is read
 * again from Kafka or from an archive gets there, and then the proof shows. What was cut off never does, and stays a failure.
 */
async function seenMore(
  { log }: WitnessPlaceOptions,
  { logId, size }: NoteToPlace,
  known: bigint,
): Promise<Placement> {
  const state = await log.logById(logId)
  if (state !== null && known <= state.position.size)
    return {
      outcome: 'superseded',
      detail: `the witness knows ${known} leaves already, and this has ${size}`,
    }
  throw new LogNotTaken(
    `the witness has seen ${known} leaves of this log, which has ${state?.position.size ?? 0} now`,
  )
}

const unavailable = (why: string, cause?: unknown): ServiceError =>
  new ServiceError('PLACE_UNAVAILABLE', `the witness: ${why}`, cause === undefined ? {} : { cause })

/** What it says of the request is about this log; it may know others. */
function refusalOf(status: number): ServiceError {
  if (status === 403) return new LogNotTaken('the witness: it knows no key that signed the note (HTTP 403)')
  if (status === 404) return new LogNotTaken('the witness: it does not know this log (HTTP 404)')
  const isOfRequest = status >= 400 && status < 500 && status !== 408 && status !== 429
  const detail = `it answers with HTTP ${status}`
  return isOfRequest ? new LogNotTaken(`the witness: ${detail}`) : unavailable(detail)
}

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
}

async function post({ url }: WitnessPlaceOptions, body: string, signal: AbortSignal): Promise<Answer> {
  try {
    const response = await fetch(`${url}/add-checkpoint`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      redirect: 'error',
      signal: AbortSignal.any([signal, AbortSignal.timeout(REQUEST_MS)]),
    })
    const type = (response.headers.get('content-type') ?? '').split(';')[0]?.trim() ?? ''
    return { status: response.status, type, body: await bodyOf(response) }
  } catch (error) {
    if (error instanceof ServiceError) throw error
    throw unavailable(`it does not answer (${causeOf(error)})`, error)
  }
}

async function bodyOf(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of response.body ?? []) {
    length += chunk.length
    if (length > MAX_ANSWER_BYTES) throw unavailable('its answer is too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** The system's code, or the kind of error: fetch's texts name addresses. */
function causeOf(error: unknown): string {
  const cause: unknown = error instanceof Error ? (error.cause ?? error) : error
  const code: unknown = cause instanceof Error ? Reflect.get(cause, 'code') : undefined
  if (typeof code === 'string' && /^[A-Z0-9_]{2,60}$/.test(code)) return code
  return cause instanceof Error ? cause.name : 'unknown reason'
}
