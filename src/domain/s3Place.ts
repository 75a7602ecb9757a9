/** Where objects are put: `s3://bucket/prefix?endpoint=…&region=…&lock=compliance&days=365`. */

/** Until when an object can be neither overwritten nor deleted, by whom: `compliance` nobody, `governance` the privileged. */
export interface ObjectLock {
  readonly mode: 'compliance' | 'governance'
  readonly days: number
}

export interface S3Place {
  readonly bucket: string
  /** Empty, or with a slash at its end. */
  readonly prefix: string
  /** Null: AWS's own for the region. */
  readonly endpoint: string | null
  readonly region: string
  /** `endpoint/bucket/key` instead of `bucket.endpoint/key`. */
  readonly pathStyle: boolean
  /** Null: what the bucket does by itself. */
  readonly lock: ObjectLock | null
}

export type ParsedPlace<Value> =
  | { readonly ok: true; readonly value: Value }
  /** For people; holds no part of what was given. */
  | { readonly ok: false; readonly problem: string }

export const placeProblem = (problem: string): { readonly ok: false; readonly problem: string } => ({
  ok: false,
  problem,
})

const DEFAULT_REGION = 'us-east-1'
const MAX_DAYS = 36_500
const MAX_PREFIX_BYTES = 300

/** Parameters of a place, each once and none but the known ones; null when that is not so. */
export function parametersOf(url: URL, known: readonly string[]): ReadonlyMap<string, string> | null {
  const given = [...url.searchParams]
  const parameters = new Map(given)
  const fits = parameters.size === given.length && given.every(([name]) => known.includes(name))
  return fits ? parameters : null
}

/** `more` are parameters that the caller reads himself. Credentials in the address are refused. */
export function parseS3Place(text: string, more: readonly string[] = []): ParsedPlace<S3Place> {
  const url = URL.parse(text)
  if (url === null || url.protocol !== 's3:')
    return placeProblem('must look like s3://bucket/prefix?region=eu-central-1')
  if (url.username !== '' || url.password !== '')
    return placeProblem('must not hold credentials: they belong into S3_ACCESS_KEY_ID and its like')
  if (url.port !== '' || url.hash !== '') return placeProblem('must have neither a port nor a fragment')
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(url.hostname))
    return placeProblem('must name a bucket: 3 to 63 small letters, digits, dots and dashes')
  const parameters = parametersOf(url, ['endpoint', 'region', 'path-style', 'lock', 'days', ...more])
  if (parameters === null)
    return placeProblem('knows the parameters endpoint, region, path-style, lock and days, each at most once')
  const endpoint = readEndpoint(parameters.get('endpoint'))
  if (!endpoint.ok) return endpoint
  const lock = readLock(parameters.get('lock'), parameters.get('days'))
  if (!lock.ok) return lock
  const region = parameters.get('region') ?? DEFAULT_REGION
  if (!/^[a-z0-9-]{1,63}$/.test(region))
    return placeProblem('must name a region of small letters, digits and dashes')
  const style = parameters.get('path-style') ?? String(endpoint.value !== null)
  if (style !== 'true' && style !== 'false') return placeProblem('knows path-style=true and path-style=false')
  const prefix = readPrefix(url.pathname)
  if (!prefix.ok) return prefix
  return {
    ok: true,
    value: {
      bucket: url.hostname,
      prefix: prefix.value,
      endpoint: endpoint.value,
      region,
      pathStyle: style === 'true',
      lock: lock.value,
    },
  }
}

function readPrefix(pathname: string): ParsedPlace<string> {
  let path: string
  try {
    path = decodeURIComponent(pathname)
  } catch {
    return placeProblem('must have a prefix that can be decoded')
  }
  const prefix = path.replace(/^\/+|\/+$/g, '')
  const isPlain = /^[\w!.*'()/-]*$/.test(prefix) && !prefix.split('/').some((part) => /^\.{1,2}$/.test(part))
  if (!isPlain || Buffer.byteLength(prefix) > MAX_PREFIX_BYTES)
    return placeProblem(`must have a prefix of at most ${MAX_PREFIX_BYTES} letters, digits and !_.*'()-/`)
  return { ok: true, value: prefix === '' ? '' : `${prefix}/` }
}

function readEndpoint(text: string | undefined): ParsedPlace<string | null> {
  if (text === undefined) return { ok: true, value: null }
  const url = URL.parse(text)
  const isPlain =
    url !== null &&
    (url.protocol === 'https:' || url.protocol === 'http:') &&
    url.username === '' &&
    url.password === '' &&
    url.search === '' &&
    url.hash === ''
  if (!isPlain)
    return placeProblem('must have an endpoint such as https://s3.example.com, without credentials')
  return { ok: true, value: url.href.replace(/\/+$/, '') }
}

function readLock(mode: string | undefined, days: string | undefined): ParsedPlace<ObjectLock | null> {
  if (mode === undefined && days === undefined) return { ok: true, value: null }
  if (mode !== 'compliance' && mode !== 'governance')
    return placeProblem('knows lock=compliance and lock=governance, with days')
  const count = /^[1-9]\d{0,4}$/.test(days ?? '') ? Number(days) : 0
  if (count < 1 || count > MAX_DAYS)
    return placeProblem(`must say with days=1 to days=${MAX_DAYS} for how long objects are locked`)
  return { ok: true, value: { mode, days: count } }
}
