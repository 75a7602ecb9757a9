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
  readonly producers: Pick<ProducerStore, 'keysAt'>
}

/**
 * Ingest judged the signature by its own clock before the database gave the event its time: a key that was valid then and
 * not at that time is named. Ingest stores nothing while the two clocks are more than an hour apart.
 */
const CLOCKS_APART = [
  [-3_600_000, 'ended within the hour before the event was stored'],
  [3_600_000, 'began within the hour after the event was stored'],
] as const

/** Steps towards the origin that are followed. */
const MAX_CAUSES = 10

/** Throws LOG_DAMAGED when the stored value is no longer what the decoder accepted. */
export async function eventCustody(deps: CustodyDependencies, event: StoredEvent): Promise<CustodyView> {
  const value = storedValue(event)
  const { custody } = deps
  const [signature, checkpoints, replays, causes, effects, detached] = await Promise.all([
    signatureOf(deps, event, value),
    custody.checkpointsOver(event.logId, event.leafIndex),
    custody.replaysOf(event),
    causesOf(custody, event.id, causationIdOf(value)),
    custody.effectsOf(event.id),
    custody.detachedDays(),
  ])
  return {
    ...custodyOfRow(value, event),
    ...{ signature, checkpoints, replays, causes, effects },
    ...(detached !== null && { detached }),
  }
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
  const canonical = canonicalEvent(event, policyOf(event))
  const verdictAt = async (at: Date) =>
    checkSignature({ policy: 'verify', keys: await producers.keysAt(source, at) }, signature, canonical)
  const verdict = await verdictAt(ingestedAt)
  if (verdict.ok) return { state: 'good', policy, ...(verdict.keyId !== null && { keyId: verdict.keyId }) }
  for (const [shift, when] of CLOCKS_APART) {
    const near = await verdictAt(new Date(ingestedAt.getTime() + shift))
    if (near.ok && near.keyId !== null)
      return { state: 'bad', policy, detail: `it is good for ${near.keyId}, which ${when}` }
  }
  return { state: 'bad', policy, detail: verdict.detail }
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
