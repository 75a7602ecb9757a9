/** Where an event came from and what happened to it: bounded questions to the store, put together. */
import {
  type Bounded,
  type CustodyCause,
  type CustodySignature,
  type CustodyView,
  causationIdOf,
  custodyOfRow,
} from '../domain/custody.ts'
import { canonicalEvent, eventSchema, policyOf, type SourceEvent } from '../domain/eventSchema.ts'
import { checkSignature } from '../domain/producerSignature.ts'
import { ServiceError } from '../errors.ts'
import type { CustodyStore, ProducerStore, StoredEvent } from '../ports.ts'

export interface CustodyDependencies {
  readonly custody: CustodyStore
  readonly producers: Pick<ProducerStore, 'listSources'>
}

/** Steps towards the origin that are followed. */
const MAX_CAUSES = 10

/** Throws LOG_DAMAGED when the stored value is no longer what the decoder accepted. */
export async function eventCustody(deps: CustodyDependencies, event: StoredEvent): Promise<CustodyView> {
  const value = storedValue(event)
  const { custody } = deps
  const [signature, checkpoints, replays, causes, effects] = await Promise.all([
    signatureOf(deps, event, value),
    custody.checkpointsOver(event.logId, event.leafIndex),
    custody.replaysOf(event),
    causesOf(custody, event.id, causationIdOf(value)),
    custody.effectsOf(event.id),
  ])
  return { ...custodyOfRow(value, event), signature, checkpoints, replays, causes, effects }
}

function storedValue({ value, topic, partition, offset }: StoredEvent): SourceEvent {
  try {
    return JSON.parse(value.toString('utf8')) as SourceEvent
  } catch (cause) {
    const place = `${topic}/${partition} at offset ${offset}`
    throw new ServiceError('LOG_DAMAGED', `The stored event of ${place} cannot be read`, { cause })
  }
}

async function signatureOf(
  { custody, producers }: CustodyDependencies,
  { source, ingestedAt }: StoredEvent,
  event: SourceEvent,
): Promise<CustodySignature> {
  const policy = await custody.policyAt(source, ingestedAt)
  const signature = event.provenance?.signature
  if (signature === undefined) return { state: 'none', policy }
  if (!eventSchema.safeParse(event).success)
    return { state: 'bad', policy, detail: 'the stored value is no event any more: verify the log' }
  const [known] = await producers.listSources({ source, limit: 1 })
  const keys = (known?.keys ?? [])
    .filter(
      ({ validFrom, validUntil }) =>
        validFrom <= ingestedAt && (validUntil === null || ingestedAt < validUntil),
    )
    .map(({ key }) => key)
  const verdict = checkSignature(
    { policy: 'verify', keys },
    signature,
    canonicalEvent(event, policyOf(event)),
  )
  if (!verdict.ok) return { state: 'bad', policy, detail: verdict.detail }
  return { state: 'good', policy, ...(verdict.keyId !== null && { keyId: verdict.keyId }) }
}

/** From cause to cause, as long as one is named that was not met before. Of several events with the id the first one leads on. */
async function causesOf(
  custody: CustodyStore,
  id: string,
  causationId: string | null,
): Promise<Bounded<CustodyCause>> {
  const items: CustodyCause[] = []
  const met = new Set([id])
  let named = causationId
  while (named !== null && items.length < MAX_CAUSES) {
    const { events, causationId: next } = await custody.cause(named)
    items.push({ causationId: named, events })
    met.add(named.toLowerCase())
    named = next !== null && met.has(next.toLowerCase()) ? null : next
  }
  return { items, more: named !== null }
}
