import { createConnection } from 'node:net'
import { createApi } from '../../src/api/app.ts'
import { createReadiness, type Probe } from '../../src/api/health.ts'
import type { ApiQueries, Operations } from '../../src/api/operations.ts'
import { type RunningServer, serve } from '../../src/api/server.ts'
import type { ReplayStatus } from '../../src/domain/replay.ts'
import type { ReplayView } from '../../src/domain/replayView.ts'
import { ServiceError } from '../../src/errors.ts'
import { createLogger } from '../../src/logger.ts'
import { createMetrics } from '../../src/metrics/metrics.ts'
import type { OperatorAction } from '../../src/ports.ts'

/** The API's edge on a real socket, with operations that only remember: for what the edge itself decides. */
export interface Edge {
  readonly url: string
  readonly server: RunningServer
  readonly recorded: OperatorAction[]
  readonly calls: string[]
  readonly logged: () => string
  close(): Promise<void>
}

export const replayView = (replayId: string, status: ReplayStatus = 'running'): ReplayView => ({
  replayId,
  workflowId: `replay/${replayId}`,
  status,
  topic: 'events',
  targetTopic: 'events-replay',
  progress: { events: '0', scanned: '0', total: '10' },
  logs: [],
})

export interface EdgeOptions {
  readonly operations?: Partial<Operations>
  readonly queries?: Partial<ApiQueries>
  readonly probes?: readonly Probe[]
  readonly allowedHosts?: readonly string[]
}

const unexpected = async (): Promise<never> => {
  throw new Error('secret internals: nobody expected this call')
}

export async function startEdge(options: EdgeOptions = {}): Promise<Edge> {
  const recorded: OperatorAction[] = []
  const calls: string[] = []
  let logged = ''
  const operations: Operations = {
    checkReplay: async () => void calls.push('checkReplay'),
    startReplay: async () => {
      calls.push('startReplay')
      return replayView('r-1', 'planning')
    },
    checkCheckpoint: async () => void calls.push('checkCheckpoint'),
    createCheckpoint: unexpected,
    getReplay: async (id) => replayView(id),
    listReplays: async () => ({ items: [], nextCursor: null }),
    cancelReplay: async (id) => replayView(id, 'cancelled'),
    pauseReplay: async (id) => replayView(id, 'paused'),
    resumeReplay: async (id) => replayView(id),
    checkRecovery: async () => void calls.push('checkRecovery'),
    recoverCursor: async (id) => {
      calls.push('recoverCursor')
      return replayView(id)
    },
    checkVerification: async () => void calls.push('checkVerification'),
    startVerification: unexpected,
    getVerification: unexpected,
    cancelVerification: unexpected,
    listVerifications: async () => ({ items: [], nextCursor: null }),
    checkReplayVerification: async () => void calls.push('checkReplayVerification'),
    verifyReplay: unexpected,
    verificationSchedule: { get: unexpected, put: unexpected, remove: unexpected },
    checkpointSchedules: {
      check: async (topic) => void calls.push(`check ${topic}`),
      checkRemoval: unexpected,
      get: unexpected,
      list: unexpected,
      put: unexpected,
      remove: unexpected,
    },
    checkArchive: async () => void calls.push('checkArchive'),
    startArchive: unexpected,
    getArchive: unexpected,
    cancelArchive: unexpected,
    listArchives: async () => ({ items: [], nextCursor: null }),
    putHold: unexpected,
    listHolds: async () => [],
    listLogs: async () => ({ items: [], nextCursor: null }),
    checkIncarnation: async () => void calls.push('checkIncarnation'),
    openIncarnation: unexpected,
    eventCustody: unexpected,
    eventRecord: unexpected,
    eventProof: unexpected,
    checkpointNote: unexpected,
    consistencyProof: unexpected,
    listProducers: unexpected,
    putProducerKey: unexpected,
    checkSignaturePolicy: unexpected,
    putSignaturePolicy: unexpected,
    ...options.operations,
  }
  const queries: ApiQueries = {
    findEvents: unexpected,
    findEventsById: unexpected,
    findDeadLetters: unexpected,
    getCheckpoint: async () => null,
    latestCheckpoint: async () => null,
    placedNotes: async () => [],
    unplacedNotes: async () => [],
    keyState: async () => ({ periods: [], nowMs: 0 }),
    recordAction: async (action) => {
      calls.push(`record ${action.outcome}`)
      recorded.push(action)
    },
    ...options.queries,
  }
  const destination = {
    write: (line: string) => {
      logged += line
    },
  }
  const app = createApi({
    operations,
    queries,
    readiness: createReadiness(options.probes ?? []),
    metrics: createMetrics(),
    log: createLogger({ level: 'debug', destination }),
    allowedHosts: options.allowedHosts ?? [],
  })
  const server = await serve(app, { host: '127.0.0.1', port: 0 })
  return { url: server.url, server, recorded, calls, logged: () => logged, close: () => server.close() }
}

export const databaseDown = async (): Promise<never> => {
  throw new ServiceError('DATABASE_UNAVAILABLE', 'The database does not answer')
}

/** Sends bytes as they are and returns what comes back until the server closes or `until` appears. */
export function sendRaw(port: number, request: string, until?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = createConnection({ host: '127.0.0.1', port }, () => socket.write(request))
    socket.setTimeout(10_000, () => socket.destroy(new Error(`nothing came after: ${answer}`)))
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1')
      if (until !== undefined && answer.includes(until)) socket.destroy()
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(answer))
  })
}

export const postJson = (
  url: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Response> =>
  fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
