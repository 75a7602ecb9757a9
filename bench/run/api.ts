import type { ReplayRequest } from '../../src/domain/replay.ts'
import type { ReplayView } from '../../src/domain/replayView.ts'

const timeoutMs = 30_000

export interface CheckpointAnswer {
  readonly id: string
  readonly positions: readonly {
    readonly partition: number
    readonly offset: string
    readonly size: string
  }[]
}

/** The admin API as any HTTP client uses it. */
export interface Api {
  createCheckpoint(body: { topic: string }): Promise<CheckpointAnswer>
  startReplay(body: ReplayRequest): Promise<ReplayView>
  getReplay(id: string): Promise<ReplayView>
}

export function createApi(url: string, requestedBy: string): Api {
  async function call<T>(method: 'GET' | 'POST', path: string, body?: unknown): Promise<T> {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { 'content-type': 'application/json', 'x-requested-by': requestedBy },
      body: body === undefined ? null : JSON.stringify(body),
      signal: AbortSignal.timeout(timeoutMs),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`)
    return JSON.parse(text) as T
  }
  return {
    createCheckpoint: (body) => call('POST', '/checkpoint', body),
    startReplay: (body) => call('POST', '/replay', body),
    getReplay: (id) => call('GET', `/replay/${encodeURIComponent(id)}`),
  }
}
