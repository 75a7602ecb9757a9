import type { NextFunction, Request, RequestHandler, Response } from 'express'
import type { Logger } from '../logger.ts'
import type { HttpMetrics } from '../metrics/http.ts'
import { hasBody } from './body.ts'
import type { Problem } from './problem.ts'
import { contextOf, openContext } from './requestContext.ts'

/** How long the rest of a refused body is read and thrown away, so that its sender can read the refusal. */
const lingerMs = 1_000

/** Marks which route took the request. */
export const routed =
  (route: string): RequestHandler =>
  (req, _res, next) => {
    contextOf(req).route = route
    next()
  }

/** Gives every request its id, and counts and logs its answer. */
export function accounting(deps: { readonly metrics: HttpMetrics; readonly log: Logger }): RequestHandler {
  return (req, res, next) => {
    const context = openContext(req)
    res.setHeader('X-Request-Id', context.requestId)
    res.once('close', () => {
      const seconds = (performance.now() - context.startedAtMs) / 1_000
      const { method } = req
      const { route } = context
      const status = res.statusCode
      deps.metrics.answered({ method, route, status, seconds })
      const fields = { requestId: context.requestId, method, route, status, ms: Math.round(seconds * 1_000) }
      if (method === 'POST') deps.log.info('answered', { ...fields, actor: context.actor })
      else deps.log.debug('answered', fields)
    })
    next()
  }
}

/** The methods of a route end here: 405, or what is allowed on OPTIONS. */
export function otherMethods(
  allowed: readonly string[],
  refuse: (req: Request, res: Response, next: NextFunction) => void,
): RequestHandler {
  const allow = [...allowed, ...(allowed.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].join(', ')
  return (req, res, next) => {
    res.setHeader('Allow', allow)
    if (req.method === 'OPTIONS') res.status(204).end()
    else refuse(req, res, next)
  }
}

/**
 * Answers with a problem. When the request's body has not arrived whole, the answer goes out first, the rest is thrown
 * away for a second, and the connection ends: closing at once would reset it under the answer.
 */
export function sendProblem(req: Request, res: Response, problem: Problem): void {
  if (res.headersSent) {
    res.destroy()
    return
  }
  const body = Buffer.from(JSON.stringify(problem))
  res.status(problem.status)
  res.setHeader('Content-Type', 'application/problem+json; charset=utf-8')
  res.setHeader('Content-Length', body.length)
  if (problem.status === 503) res.setHeader('Retry-After', '5')
  if (req.complete || !hasBody(req)) {
    res.end(body)
    return
  }
  res.setHeader('Connection', 'close')
  res.write(body)
  const timer = setTimeout(() => res.end(), lingerMs)
  const finish = () => {
    clearTimeout(timer)
    res.end()
  }
  req.once('end', finish).once('close', finish).once('error', finish)
  req.on('data', discard).resume()
}

function discard(): void {
  // A listener keeps the stream flowing; what it brings is not wanted.
}
