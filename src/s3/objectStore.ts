/**
 * Objects in an S3-compatible bucket. The one place that knows the SDK: AWS's own, since it is the reference that other
 * servers are tested with, is released every week, and knows object lock, conditional writes and checksums. It is loaded
 * only by processes that use a bucket.
 */
import { createReadStream } from 'node:fs'
import { addAbortSignal, type Readable } from 'node:stream'
import type { ListObjectVersionsCommandOutput, PutObjectCommandInput, S3Client } from '@aws-sdk/client-s3'
import { hashToBytes, sha256 } from '../domain/hash.ts'
import type { Hash } from '../domain/model.ts'
import type { ObjectLock, S3Place } from '../domain/s3Place.ts'
import { ServiceError, TooLarge } from '../errors.ts'

export interface S3Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

/** Bytes, or a file whose length and hash are known: it is sent as a stream. */
export type ObjectContent = Buffer | { readonly path: string; readonly bytes: number; readonly sha256: Hash }

export interface PutOptions {
  readonly signal: AbortSignal
  /** Leave an object that is there as it is. */
  readonly ifAbsent?: boolean
  /** Needs a bucket that was made with object lock. */
  readonly lock?: ObjectLock
}

export interface StoredObject {
  /** Whole, the place's prefix included. */
  readonly key: string
  readonly bytes: number
}

export interface ObjectVersion extends StoredObject {
  /** Null where the server keeps no versions. */
  readonly versionId: string | null
  /** What is got when no version is named. */
  readonly isNewest: boolean
}

/** The server does not show versions. */
export class VersionsRefused extends ServiceError {
  /** It knows no versions; otherwise there may be some, and these credentials may not list them. */
  readonly hasNone: boolean

  constructor(detail: string, hasNone: boolean) {
    super('PLACE_UNAVAILABLE', detail)
    this.hasNone = hasNone
  }
}

/** All throw ServiceError PLACE_UNAVAILABLE, which names the bucket and the server's error code and nothing else. */
export interface ObjectStore {
  readonly place: S3Place
  /** The server compares what it got with its SHA-256. `exists`: with `ifAbsent`, and there is one. */
  put(key: string, content: ObjectContent, options: PutOptions): Promise<'stored' | 'exists'>
  /** Null when there is none. Throws TooLarge for more than `maxBytes`. */
  get(key: string, maxBytes: number, signal: AbortSignal, versionId?: string): Promise<Buffer | null>
  /** The object as a stream, for what is large, which ends with the signal too; null when there is none. */
  open(key: string, signal: AbortSignal, versionId?: string): Promise<Readable | null>
  /** In the order of their keys. */
  list(prefix: string, signal: AbortSignal): AsyncGenerator<StoredObject>
  /** All that was ever put and is still held, also what a newer version or a removal hides. Throws VersionsRefused. */
  versions(prefix: string, signal: AbortSignal): AsyncGenerator<ObjectVersion>
  close(): void
}

const CONNECT_MS = 5_000
/** Until the answer begins, for what is small. */
const REQUEST_MS = 30_000
/** Without a byte in either direction, in request times: whoever reads an object as a stream may pause to write. */
const MAX_SILENCE = 4
/** What is put may be large: the slowest line that is waited for, 64 kB/s. */
const SLOWEST_BYTES_PER_MS = 64
/** Longest that a timer of Node.js can be set to. */
const MAX_TIMER_MS = 2_147_483_647
const ATTEMPTS = 2
const MS_PER_DAY = 86_400_000

/** Opens nothing yet. Without credentials the SDK looks for them as it always does: AWS_*, profiles, the machine's role. */
export function createObjectStore(
  place: S3Place,
  credentials: S3Credentials | null,
  { requestMs = REQUEST_MS }: { readonly requestMs?: number } = {},
): ObjectStore {
  let loaded: Promise<Loaded> | null = null
  const load = (): Promise<Loaded> => {
    loaded ??= loadClient(place, credentials, requestMs)
    return loaded
  }
  const { bucket } = place
  const guarded = async <T>(doing: string, work: (sdk: Loaded) => Promise<T>): Promise<T> => {
    try {
      return await work(await load())
    } catch (error) {
      throw error instanceof ServiceError ? error : unavailable(bucket, doing, error)
    }
  }
  const open = (key: string, signal: AbortSignal, versionId?: string): Promise<Readable | null> =>
    guarded('reading', async ({ client, sdk }) => {
      try {
        const version = versionId === undefined ? {} : { VersionId: versionId }
        const command = new sdk.GetObjectCommand({ Bucket: bucket, Key: key, ...version })
        const { Body } = await client.send(command, { abortSignal: signal })
        // That the SDK still listens to the signal once the answer has begun, it does not promise.
        return Body === undefined ? null : addAbortSignal(signal, Body as Readable)
      } catch (error) {
        if (statusOf(error) === 404 && nameOf(error) !== 'NoSuchBucket') return null
        throw error
      }
    })
  return {
    place,
    put: (key, content, options) =>
      guarded('writing', async ({ client, sdk }) => {
        const command = new sdk.PutObjectCommand(inputOf(bucket, key, content, options))
        try {
          const requestTimeout = putMs(requestMs, content)
          await client.send(command, { abortSignal: options.signal, requestTimeout })
          return 'stored'
        } catch (error) {
          if (options.ifAbsent === true && statusOf(error) === 412) return 'exists'
          throw error
        }
      }),
    open,
    async get(key, maxBytes, signal, versionId) {
      const body = await open(key, signal, versionId)
      if (body === null) return null
      return await guarded('reading', () => collect(body, bucket, maxBytes))
    },
    async *list(prefix, signal) {
      let after: string | undefined
      do {
        const answer = await guarded('listing', ({ client, sdk }) =>
          client.send(
            new sdk.ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, ContinuationToken: after }),
            { abortSignal: signal },
          ),
        )
        for (const { Key, Size } of answer.Contents ?? [])
          if (Key !== undefined) yield { key: Key, bytes: Size ?? 0 }
        after = answer.IsTruncated === true ? answer.NextContinuationToken : undefined
      } while (after !== undefined)
    },
    async *versions(prefix, signal) {
      let after: VersionMarker | null = {}
      let last = ''
      while (after !== null) {
        const from: VersionMarker = after
        const answer = await guarded('listing versions', ({ client, sdk }) =>
          client
            .send(new sdk.ListObjectVersionsCommand({ Bucket: bucket, Prefix: prefix, ...from }), {
              abortSignal: signal,
            })
            .catch((error: unknown) => {
              const status = refusalOf(error)
              if (status === null) throw error
              const { message } = unavailable(bucket, 'listing versions', error)
              throw new VersionsRefused(message, status === 501 || status === 405)
            }),
        )
        for (const { Key, Size, VersionId, IsLatest } of answer.Versions ?? []) {
          // Some servers begin a page with what ended the one before.
          const mark = `${Key} ${VersionId}`
          if (Key === undefined || mark === last) continue
          last = mark
          yield { key: Key, bytes: Size ?? 0, versionId: VersionId ?? null, isNewest: IsLatest ?? true }
        }
        after = answer.IsTruncated === true ? markerOf(answer, from, bucket) : null
      }
    },
    close: () => void loaded?.then(({ client }) => client.destroy()).catch(() => undefined),
  }
}

interface VersionMarker {
  readonly KeyMarker?: string
  readonly VersionIdMarker?: string
}

/** Throws for a server that would go on for ever. */
function markerOf(
  { NextKeyMarker: key, NextVersionIdMarker: version }: ListObjectVersionsCommandOutput,
  before: VersionMarker,
  bucket: string,
): VersionMarker {
  if (key === undefined || (key === before.KeyMarker && version === before.VersionIdMarker))
    throw new ServiceError('PLACE_UNAVAILABLE', `the bucket ${bucket} does not say how its list goes on`)
  return { KeyMarker: key, ...(version !== undefined && { VersionIdMarker: version }) }
}

interface Loaded {
  readonly client: S3Client
  readonly sdk: typeof import('@aws-sdk/client-s3')
}

const silent = (): void => undefined

const lengthOf = (content: ObjectContent): number =>
  Buffer.isBuffer(content) ? content.length : content.bytes

const putMs = (requestMs: number, content: ObjectContent): number =>
  Math.min(requestMs + Math.ceil(lengthOf(content) / SLOWEST_BYTES_PER_MS), MAX_TIMER_MS)

async function loadClient(
  place: S3Place,
  credentials: S3Credentials | null,
  requestMs: number,
): Promise<Loaded> {
  const sdk = await import('@aws-sdk/client-s3')
  const client = new sdk.S3Client({
    region: place.region,
    forcePathStyle: place.pathStyle,
    maxAttempts: ATTEMPTS,
    // What we send has a SHA-256 of its own; other servers know no other checksums.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // What goes wrong, whoever asked is told; otherwise the SDK writes to the console.
    logger: { trace: silent, debug: silent, info: silent, warn: silent, error: silent },
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      requestTimeout: requestMs,
      // Otherwise it is only written to the log.
      throwOnRequestTimeout: true,
      socketTimeout: MAX_SILENCE * requestMs,
    },
    ...(place.endpoint !== null && { endpoint: place.endpoint }),
    // A copy: the SDK writes into it, and a configuration is frozen.
    ...(credentials !== null && { credentials: { ...credentials } }),
  })
  return { client, sdk }
}

function inputOf(
  bucket: string,
  key: string,
  content: ObjectContent,
  { ifAbsent, lock }: PutOptions,
): PutObjectCommandInput {
  const isBytes = Buffer.isBuffer(content)
  const hash = isBytes ? sha256(content) : content.sha256
  return {
    Bucket: bucket,
    Key: key,
    Body: isBytes ? content : createReadStream(content.path),
    ContentLength: lengthOf(content),
    ChecksumSHA256: hashToBytes(hash).toString('base64'),
    ...(ifAbsent === true && { IfNoneMatch: '*' }),
    ...(lock !== undefined && {
      ObjectLockMode: lock.mode === 'compliance' ? 'COMPLIANCE' : 'GOVERNANCE',
      ObjectLockRetainUntilDate: new Date(Date.now() + lock.days * MS_PER_DAY),
    }),
  }
}

/** What a server says of its bucket or of who asks, with statuses that else speak of one object. */
const ofAll: ReadonlySet<string> = new Set([
  'AuthorizationHeaderMalformed',
  'ExpiredToken',
  'InvalidAccessKeyId',
  'InvalidToken',
  'NoSuchBucket',
  'NotSignedUp',
  'PermanentRedirect',
  'RequestTimeTooSkewed',
  'RequestTimeout',
  'SignatureDoesNotMatch',
  'SlowDown',
  'TooManyRequests',
])

/** Whether a failure is about this one object: it was refused, or is too large; others may be taken and read. */
export function isOfOneObject(error: unknown): error is ServiceError {
  if (error instanceof TooLarge) return true
  if (!(error instanceof ServiceError)) return false
  const status = statusOf(error.cause)
  const isOfRequest = status !== null && status >= 400 && status < 500 && status !== 408 && status !== 429
  return isOfRequest && !ofAll.has(nameOf(error.cause))
}

async function collect(body: Readable, bucket: string, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > maxBytes) {
      body.destroy()
      throw new TooLarge(`an object of the bucket ${bucket} has more than ${maxBytes} bytes`)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

const nameOf = (error: unknown): string => (error instanceof Error ? error.name : '')

function statusOf(error: unknown): number | null {
  const metadata: unknown = error instanceof Error ? Reflect.get(error, '$metadata') : null
  const status: unknown =
    typeof metadata === 'object' && metadata !== null ? Reflect.get(metadata, 'httpStatusCode') : null
  return typeof status === 'number' ? status : null
}

/** The status of what the server says no to for good; null for what may pass, and for a bucket that is not there. */
function refusalOf(error: unknown): number | null {
  const status = statusOf(error) ?? 0
  const isFinal = status === 501 || (status >= 400 && status < 500 && status !== 408 && status !== 429)
  return isFinal && nameOf(error) !== 'NoSuchBucket' ? status : null
}

/** The server's error code, as far as it is one, or the system's: never a text, which may hold keys or addresses. */
function unavailable(bucket: string, doing: string, error: unknown): ServiceError {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined
  const named = [code, nameOf(error)].find(
    (name): name is string =>
      typeof name === 'string' && /^[A-Za-z0-9_]{2,60}$/.test(name) && name !== 'Error',
  )
  const status = statusOf(error)
  const why = [named, status === null ? undefined : `HTTP ${status}`].filter((part) => part !== undefined)
  return new ServiceError(
    'PLACE_UNAVAILABLE',
    `${doing} in the bucket ${bucket} failed (${why.join(', ') || 'unknown reason'})`,
    { cause: error },
  )
}
