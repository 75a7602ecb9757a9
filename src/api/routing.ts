import type { Express, NextFunction, Request, Response } from 'express'
import { ServiceError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import type { HttpMetrics } from '../metrics/http.ts'
import type { Readiness } from './health.ts'
import type { ApiQueries, Operations } from './operations.ts'
import { otherMethods, routed } from './respond.ts'

/** What health and metrics need; every role serves these. */
export interface HealthDependencies {
  readonly readiness: () => Promise<Readiness>
  readonly metrics: {
    readonly http: HttpMetrics
    readonly text: () => Promise<string>
    readonly contentType: string
  }
  readonly log: Logger
}

export interface ApiDependencies extends HealthDependencies {
  readonly operations: Operations
  readonly queries: ApiQueries
  /** Further host names under which the API may be called (API_ALLOWED_HOSTS). */
  readonly allowedHosts: readonly string[]
}

/** Longest that a read is waited for. */
export const readTimeoutMs = 15_000

export function methodNotAllowed(req: Request, _res: Response, next: NextFunction): void {
  next(new ServiceError('METHOD_NOT_ALLOWED', `${req.method} is not possible here: see the header Allow`))
}

/** `GET /health`, `/health/ready`, `/metrics`. */
export function addHealthRoutes(app: Express, { readiness, metrics }: HealthDependencies): void {
  app
    .route('/health')
    .all(routed('/health'))
    .get((_req, res) => {
      res.json({ status: 'ok' })
    })
    .all(otherMethods(['GET'], methodNotAllowed))

  app
    .route('/health/ready')
    .all(routed('/health/ready'))
    .get(async (_req, res) => {
      const report = await readiness()
      res.status(report.status === 'ready' ? 200 : 503).json(report)
    })
    .all(otherMethods(['GET'], methodNotAllowed))

  app
    .route('/metrics')
    .all(routed('/metrics'))
    .get(async (_req, res) => {
      const text = await metrics.text()
      res.setHeader('Content-Type', metrics.contentType)
      res.end(text)
    })
    .all(otherMethods(['GET'], methodNotAllowed))
}
