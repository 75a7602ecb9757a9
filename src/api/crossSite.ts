import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import { ServiceError } from '../errors.ts'

/**
 * There is no authentication yet, so a web page in an operator's browser must not be able to reach the API: not by a
 * cross-site request (Fetch metadata; `Origin` where a browser sends no metadata), and not under a name of its own that
 * resolves to this address (DNS rebinding). Programs send neither header and use names that they were given.
 * Throws FORBIDDEN.
 */
export function refuseForeignPages(req: IncomingMessage, allowedHosts: ReadonlySet<string>): void {
  const host = hostName(req.headers.host)
  if (host !== null && !isOwnName(host, allowedHosts))
    throw new ServiceError('FORBIDDEN', 'The API does not answer under this host name: see API_ALLOWED_HOSTS')
  if (req.method === 'GET' || req.method === 'HEAD') return
  const site = req.headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin' && site !== 'none')
    throw new ServiceError('FORBIDDEN', 'Requests from other sites are refused')
  const { origin } = req.headers
  if (origin !== undefined && URL.parse(origin)?.host !== req.headers.host?.toLowerCase())
    throw new ServiceError('FORBIDDEN', 'Requests from other origins are refused')
}

/** The name without port, brackets and final dot. */
function hostName(header: string | undefined): string | null {
  const name = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(header ?? '')
  return (name?.[1] ?? name?.[2])?.toLowerCase().replace(/\.$/, '') ?? header ?? null
}

/** A name without a dot is nothing that a stranger can register. */
function isOwnName(host: string, allowedHosts: ReadonlySet<string>): boolean {
  return isIP(host) !== 0 || !host.includes('.') || host.endsWith('.localhost') || allowedHosts.has(host)
}
