/** The registry of producers' keys and policies, as the edges have it read and changed. */
import type { ProducerKeyRequest, SignaturePolicyRequest } from '../domain/producerRequests.ts'
import { keysValidAt } from '../domain/producerSignature.ts'
import type { ProducerView } from '../domain/producerView.ts'
import { ServiceError } from '../errors.ts'
import type { Page, ProducerSource, ProducerStore } from '../ports.ts'

export interface ProducerQuery {
  readonly source?: string
  readonly cursor?: string
  readonly limit: number
}

export interface ProducerOperations {
  /** By source. Throws BAD_REQUEST for a cursor that is none. */
  listProducers(query: ProducerQuery): Promise<Page<ProducerView>>
  /** Throws PRODUCERS_FULL. */
  putProducerKey(request: ProducerKeyRequest, requestedBy: string): Promise<ProducerView>
  /** The two throw PRODUCER_KEY_MISSING; the second PRODUCERS_FULL too. */
  checkSignaturePolicy(request: SignaturePolicyRequest): Promise<void>
  putSignaturePolicy(request: SignaturePolicyRequest, requestedBy: string): Promise<ProducerView>
}

export function createProducerOperations(store: ProducerStore, now: () => number): ProducerOperations {
  return {
    async listProducers({ source, cursor, limit }) {
      const after = cursor === undefined ? {} : { after: sourceOf(cursor) }
      const found = await store.listSources({
        ...(source !== undefined && { source }),
        ...after,
        limit: limit + 1,
      })
      const items = found.slice(0, limit).map(present)
      const last = items.at(-1)
      return { items, nextCursor: found.length > limit && last !== undefined ? cursorOf(last.source) : null }
    },
    putProducerKey: async (request, requestedBy) => present(await store.putKey(request, requestedBy)),
    async checkSignaturePolicy({ source, policy }) {
      const [known] = await store.listSources({ source, limit: 1 })
      if (policy !== 'ignore' && keysValidAt(known?.keys ?? [], now()).length === 0) throw keyMissing()
    },
    putSignaturePolicy: async (request, requestedBy) => present(await store.putPolicy(request, requestedBy)),
  }
}

const keyMissing = (): ServiceError =>
  new ServiceError('PRODUCER_KEY_MISSING', 'No key of the source is valid now: add one first')

const present = ({ source, policy, keys }: ProducerSource): ProducerView => ({
  source,
  policy,
  keys: keys.map(({ key, validFrom, validUntil }) => ({
    key: key.text,
    validFrom: validFrom.toISOString(),
    validUntil: validUntil?.toISOString() ?? null,
  })),
})

const cursorOf = (source: string): string => Buffer.from(source, 'utf8').toString('base64url')

function sourceOf(cursor: string): string {
  const source = Buffer.from(cursor, 'base64url').toString('utf8')
  if (cursorOf(source) === cursor && !source.includes('\u0000')) return source
  const message = 'is not one that an earlier answer gave'
  throw new ServiceError('BAD_REQUEST', `cursor: ${message}`, { fields: [{ path: 'cursor', message }] })
}
