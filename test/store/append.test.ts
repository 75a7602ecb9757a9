import { afterAll, beforeAll, expect, test } from 'vitest'
import { offset } from '../../src/domain/model.ts'
import { createDatabase, type Database } from '../../src/store/database.ts'
import { createEventLogWriter } from '../../src/store/writer.ts'
import { createTestDatabase, type TestDatabase, withClient } from '../support/database.ts'
import { eventEntries, randomIdentity, requestFor } from './entries.ts'

let database: TestDatabase
let connections: Database

beforeAll(async () => {
  database = await createTestDatabase('append')
  connections = createDatabase({ url: database.appUrl })
})
afterAll(async () => {
  await connections.close()
  await database.drop()
})

test('a batch becomes rows, and the log moves with it', async () => {
  const writer = createEventLogWriter(connections)
  const identity = randomIdentity()
  const log = await writer.openLog(identity, offset(10n), 3)
  const entries = eventEntries(10n, 1010n)
  const prepared = await writer.prepare(requestFor(log, log.position, entries, 1015n))
  const outcome = await writer.append(prepared, async () => identity.topicId)
  expect(outcome).toMatchObject({ kind: 'appended', events: 1000 })
  const moved = await writer.findLog(identity.topic, 0)
  expect(moved?.position).toEqual(prepared.request.next)
  const rows = await withClient(database.adminUrl, (client) =>
    client.query('select * from events where log_id = $1 order by "offset"', [log.logId]),
  )
  expect(rows.rowCount).toBe(1000)
  console.log(rows.rows[999])
})
