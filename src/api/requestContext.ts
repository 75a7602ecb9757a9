import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { visible } from './problem.ts'

/** What is known of a request beside its body. */
export interface RequestContext {
  readonly requestId: string
  /** Who asked, as they say: there is no authentication yet. */
  readonly actor: string
  readonly startedAtMs: number
  /** Of the route that took the request; for metrics. */
  route: string
  /** For the record of actions; what is known so far. */
  action: { name: string; target: string }
}

const contexts = new WeakMap<IncomingMessage, RequestContext>()
const maxActorLength = 256

export function openContext(req: IncomingMessage): RequestContext {
  const context: RequestContext = {
    requestId: requestIdOf(req.headers['x-request-id']),
    actor: actorOf(req.headers['x-requested-by']),
    startedAtMs: performance.now(),
    route: 'unmatched',
    action: { name: 'unknown', target: visible((req.url ?? '').split('?')[0] ?? '', 256) },
  }
  contexts.set(req, context)
  return context
}

export function contextOf(req: IncomingMessage): RequestContext {
  return contexts.get(req) ?? openContext(req)
}

/** The caller's own id when it is short and plain, so that logs of both sides can be joined; else a new one. */
function requestIdOf(given: string | string[] | undefined): string {
  return typeof given === 'string' && /^[A-Za-z0-9._:-]{1,128}$/.test(given) ? given : randomUUID()
}

/** Header bytes reach us as latin1; names are UTF-8 where they are valid UTF-8. */
function actorOf(given: string | string[] | undefined): string {
  if (typeof given !== 'string') return 'anonymous'
  const bytes = Buffer.from(given, 'latin1')
  const text = bytes.toString('utf8')
  const name = (text.includes('\uFFFD') ? given : text).replace(/\p{C}/gu, '').trim()
  const bounded = name.slice(0, maxActorLength).toWellFormed()
  return bounded === '' ? 'anonymous' : bounded
}
