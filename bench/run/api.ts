import type { ReplayRequest } from '../../src/domain/replay.ts'
import type { ReplayView } from '../../src/domain/replayView.ts'

const timeoutMs = 30_000

export interface CheckpointAnswer {
  readonly id: string
  readonly positions: readonly {
    readonly partition: number
    readonly offset: string
    readonly size: string
    /** 64 hex digits. */
    readonly rootHash: string
  }[]
}

/** What the API refused; the message holds its whole answer. */
export class ApiError extends Error {
  readonly status: number
  /** Of the problem details (RFC 9457); empty where there is none. */
  readonly code: string

  constructor(message: string, status: number, code: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

/** The admin API as any HTTP client uses it. Everything throws ApiError for what is refused. */
export interface Api {
  createCheckpoint(body: { topic: string }): Promise<CheckpointAnswer>
  /** Under a random id unless one is given. */
  startReplay(body: ReplayRequest, replayId?: string): Promise<ReplayView>
  getReplay(id: string): Promise<ReplayView>
  pauseReplay(id: string): Promise<ReplayView>
  resumeReplay(id: string): Promise<ReplayView>
  cancelReplay(id: string): Promise<ReplayView>
}

export function createApi(url: string, requestedBy: string): Api {
  async function call<T>(
    method: 'GET' | 'POST',
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<T> {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { 'content-type': 'application/json', 'x-requested-by': requestedBy, ...headers },
      body: body === undefined ? null : JSON.stringify(body),
      signal: AbortSignal.timeout(timeoutMs),
    })
    const text = await response.text()
    if (response.ok) return JSON.parse(text) as T
    const message = `${method} ${path} answered ${response.status}: ${text}`
    throw new ApiError(message, response.status, codeOf(text))
  }
  const control = (id: string, verb: string): Promise<ReplayView> =>
    call('POST', `/replay/${encodeURIComponent(id)}/${verb}`, {})
  return {
    createCheckpoint: (body) => call('POST', '/checkpoint', body),
    startReplay: (body, replayId) =>
      call('POST', '/replay', body, replayId === undefined ? {} : { 'x-replay-id': replayId }),
    getReplay: (id) => call('GET', `/replay/${encodeURIComponent(id)}`),
    pauseReplay: (id) => control(id, 'pause'),
    resumeReplay: (id) => control(id, 'resume'),
    cancelReplay: (id) => control(id, 'cancel'),
  }
}

function codeOf(text: string): string {
  try {
    const body: unknown = JSON.parse(text)
    return typeof body === 'object' && body !== null && 'code' in body ? String(body.code) : ''
  } catch (error) {
    if (error instanceof SyntaxError) return ''
    throw error
  }
}
