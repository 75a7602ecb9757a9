import { collectDefaultMetrics, Registry } from 'prom-client'
import type { IngestObserver } from '../ingest/observer.ts'
import { createHttpMetrics, type HttpMetrics } from './http.ts'
import { createIngestMetrics } from './ingest.ts'
import { createNoteMetrics, type NoteMetrics } from './notes.ts'
import { createReplayMetrics, type ReplayMetrics } from './replay.ts'
import { createVerificationMetrics, type VerificationMetrics } from './verification.ts'

/**
 * Everything that one process counts, in a registry of its own. Labels are topics, partitions, places of NOTE_PLACES, closed
 * lists of codes and route templates: never ids, names or paths that people choose.
 */
export interface Metrics {
  readonly ingest: IngestObserver
  readonly replay: ReplayMetrics
  readonly verification: VerificationMetrics
  readonly notes: NoteMetrics
  readonly http: HttpMetrics
  readonly registry: Registry
  /** Prometheus text exposition format. */
  text(): Promise<string>
  readonly contentType: string
}

export function createMetrics(): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  return {
    ingest: createIngestMetrics(registry),
    replay: createReplayMetrics(registry),
    verification: createVerificationMetrics(registry),
    notes: createNoteMetrics(registry),
    http: createHttpMetrics(registry),
    registry,
    text: () => registry.metrics(),
    contentType: registry.contentType,
  }
}
