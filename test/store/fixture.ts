import { afterAll, beforeAll } from 'vitest'
import { type LogEntry, type LogPosition, offset } from '../../src/domain/model.ts'
import type { AppendOutcome, LogState } from '../../src/ports.ts'
import { createDatabase, type Database } from '../../src/store/database.ts'
import { createStore, type Store } from '../../src/store/store.ts'
import type { WriterOptions } from '../../src/store/writer.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { randomIdentity, requestFor } from './entries.ts'

export interface Fixture {
  database: TestDatabase
  connections: Database
  store: Store
}

/** A database of this test file's own, and a store on it as the application's role. */
export function useStore(name: string, options: WriterOptions = {}): Fixture {
  const fixture = {} as Fixture
  beforeAll(async () => {
    fixture.database = await createTestDatabase(`store_${name}`)
    fixture.connections = createDatabase({ url: fixture.database.appUrl })
    fixture.store = createStore(fixture.connections, options)
  })
  afterAll(async () => {
    await fixture.connections?.close()
    await fixture.database?.drop()
  })
  return fixture
}

export interface OpenLog {
  readonly log: LogState
  position: LogPosition
}

export async function openLog(store: Store, start = 0n, partition = 0): Promise<OpenLog> {
  const log = await store.writer.openLog(randomIdentity(partition), offset(start), 0)
  return { log, position: log.position }
}

/** Appends behind what the log holds and moves `position` when that worked. */
export async function appendTo(
  store: Store,
  open: OpenLog,
  entries: readonly LogEntry[],
  nextOffset: bigint,
): Promise<AppendOutcome> {
  const request = requestFor(open.log, open.position, entries, nextOffset)
  const outcome = await store.writer.append(
    await store.writer.prepare(request),
    async () => open.log.identity.topicId,
  )
  if (outcome.kind === 'appended') open.position = request.next
  return outcome
}
