import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express'
import helmet from 'helmet'
import { httpStatusOf, ServiceError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import { recordRefused } from './actions.ts'
import { refuseForeignPages } from './crossSite.ts'
import type { ApiQueries } from './operations.ts'
import { problemOf, refusalOf, visible } from './problem.ts'
import { contextOf } from './requestContext.ts'
import { accounting, sendProblem } from './respond.ts'
import { addArchiveRoutes } from './routes/archives.ts'
import { addCheckpointScheduleRoutes } from './routes/checkpointSchedules.ts'
import { addCheckpointRoutes } from './routes/checkpoints.ts'
import { addEventRoutes } from './routes/events.ts'
import { addLogRoutes } from './routes/logs.ts'
import { addProducerRoutes } from './routes/producers.ts'
import { addReplayRoutes } from './routes/replays.ts'
import { addVerificationRoutes } from './routes/verifications.ts'
import { type ApiDependencies, addHealthRoutes, type HealthDependencies } from './routing.ts'

/** The admin API of the roles `api` and `all`. */
export function createApi(deps: ApiDependencies): Express {
  const app = createApp(deps)
  addHealthRoutes(app, deps)
  const allowedHosts = new Set(deps.allowedHosts.map((name) => name.toLowerCase()))
  app.use((req, _res, next) => {
    refuseForeignPages(req, allowedHosts)
    next()
  })
  addReplayRoutes(app, deps)
  addArchiveRoutes(app, deps)
  addCheckpointRoutes(app, deps)
  addCheckpointScheduleRoutes(app, deps)
  addEventRoutes(app, deps)
  addLogRoutes(app, deps)
  addVerificationRoutes(app, deps)
  addProducerRoutes(app, deps)
  app.use(notFound)
  app.use(answerErrors(deps.log, deps.queries))
  return app
}

/** Health and metrics only, for the roles `ingest` and `worker`. */
export function createHealthApp(deps: HealthDependencies): Express {
  const app = createApp(deps)
  addHealthRoutes(app, deps)
  app.use(notFound)
  app.use(answerErrors(deps.log, null))
  return app
}

function createApp(deps: HealthDependencies): Express {
  const app = express()
  app.disable('x-powered-by')
  app.set('etag', false)
  app.set('query parser', 'simple')
  app.set('case sensitive routing', true)
  app.use(
    helmet({
      contentSecurityPolicy: {
        useDefaults: false,
        directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
      },
      // The service speaks plain HTTP on loopback; TLS and its policy belong to what stands in front of it.
      strictTransportSecurity: false,
    }),
  )
  app.use((_req, res, next) => {
    res.setHeader('Cache-Control', 'no-store')
    next()
  })
  app.use(accounting({ metrics: deps.metrics.http, log: deps.log }))
  return app
}

const notFound: RequestHandler = (req) => {
  throw new ServiceError('NOT_FOUND', `There is nothing at ${visible(req.path, 200)}`)
}

/** The one place where errors become answers, and where refused actions are recorded. */
function answerErrors(log: Logger, recorder: Pick<ApiQueries, 'recordAction'> | null): ErrorRequestHandler {
  return async (error: unknown, req, res, _next) => {
    const refusal = refusalOf(error)
    const { requestId, route } = contextOf(req)
    if (httpStatusOf(refusal.code) >= 500)
      log.error('a request failed', { requestId, route, code: refusal.code, error })
    const changes = req.method !== 'GET' && req.method !== 'HEAD'
    if (recorder !== null && changes) await recordRefused(recorder, log, req, refusal)
    sendProblem(req, res, problemOf(refusal, visible(req.path, 200), requestId))
  }
}
