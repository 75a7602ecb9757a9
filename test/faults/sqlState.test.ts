import { Client } from 'pg'
import { expect, it, onTestFinished } from 'vitest'
import type { Frame } from '../../bench/faults/contract.ts'
import { openPassage } from '../../bench/faults/passage/passage.ts'
import { sqlStateOf } from '../../bench/faults/sqlState.ts'
import { testServers } from '../support/servers.ts'

it('reads the SQLSTATE of what a real server refuses, and of nothing else', async () => {
  const url = new URL(testServers().databaseAdminUrl)
  const passage = await openPassage({ target: url.host, protocol: 'postgres' })
  onTestFinished(() => passage.close())
  const seen: string[] = []
  const note = (frame: Frame): 'pass' => {
    const state = sqlStateOf(frame)
    if (state !== null) seen.push(state)
    return 'pass'
  }
  passage.tap({ request: note, answer: note })
  url.port = String(passage.port)
  const client = new Client({ connectionString: url.href })
  await client.connect()
  onTestFinished(() => client.end())
  // A notice, whose message has the same fields; a prepared statement, whose Execute is an E as well.
  await client.query("do $$ begin raise notice 'nothing' using errcode = '12345'; end $$")
  await client.query('select $1::int', [1])
  await expect(client.query('select 1 / 0')).rejects.toThrow()
  await expect(client.query('select * from nowhere')).rejects.toThrow()
  expect(seen).toEqual(['22012', '42P01'])
})
