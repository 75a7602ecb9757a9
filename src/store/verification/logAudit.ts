import type { LogAudit } from '../../ports.ts'
import type { Database } from '../database.ts'
import { guarded } from '../failure.ts'
import { createSigningKeyStore } from '../signingKeys.ts'
import { auditBeyond, auditEvidence, auditHead } from './auditEvidence.ts'
import { auditDeadLetters, auditEvents, auditGaps, auditSpans, eventsWithIds } from './auditRows.ts'
import {
  archivesOfDetachment,
  archivesOfGone,
  firstGone,
  goneOutside,
  layoutOfDays,
  unknownDays,
} from './detachedRows.ts'
import { goneLog, nameOf } from './namedLogs.ts'

/** Reads what a log holds without trusting any of it. */
export function createLogAudit(database: Database): LogAudit {
  const pool = database.readers
  const keys = createSigningKeyStore(database)
  const periods = async () => (await keys.keyState()).periods
  return {
    head: (id) => guarded('looking at the row of a log', () => auditHead(pool, id)),
    spans: (id) => guarded('looking for the times of a log', () => auditSpans(pool, id)),
    readEvents: (request, visit) => guarded('reading events', () => auditEvents(pool, request, visit)),
    readDeadLetters: (request, maxBytes) =>
      guarded('reading dead letters', () => auditDeadLetters(pool, request, maxBytes)),
    readGaps: (request) => guarded('reading gaps', () => auditGaps(pool, request)),
    eventsWithIds: (id, ids) => guarded('looking for earlier events', () => eventsWithIds(pool, id, ids)),
    evidence: (id, range) =>
      guarded('reading nodes and checkpoints', () => auditEvidence(pool, id, range, periods)),
    beyond: (id) => guarded('looking beyond the end of a log', () => auditBeyond(pool, id, periods)),
    layout: () => guarded('looking at the days', () => layoutOfDays(pool)),
    firstGone: (id) => guarded('looking for detached leaves', () => firstGone(pool, id)),
    archivesOfDetachment: (id, detachment) =>
      guarded('looking for archives', () => archivesOfDetachment(pool, id, detachment)),
    archivesOfGone: (id) => guarded('looking for archives', () => archivesOfGone(pool, id)),
    goneOutside: (id, parts) => guarded('comparing archives with leaves', () => goneOutside(pool, id, parts)),
    unknownDays: () => guarded('looking for detached days', () => unknownDays(pool)),
    goneLog: (id) => guarded('looking for what is left of a log', () => goneLog(pool, id)),
    nameOf: (id) => guarded('looking at the name of a log', () => nameOf(pool, id)),
  }
}
