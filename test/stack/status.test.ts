import { describe, expect, it } from 'vitest'
import { writeEnvironment } from '../../stack/environment.ts'
import { lastingPorts } from '../../stack/ports.ts'
import { formatTable, statusRows } from '../../stack/status.ts'
import { testServers } from '../support/servers.ts'
import { temporaryDirectory } from './temporary.ts'

describe('the status of a stack', () => {
  it('is down for every server before the first up', async () => {
    const rows = await statusRows(temporaryDirectory())
    expect(rows.map(({ server, state }) => [server, state])).toEqual([
      ['kafka', 'down'],
      ['postgres', 'down'],
      ['temporal', 'down'],
    ])
  })

  it('tells the servers that answer from those that do not, without a password', async () => {
    const directory = temporaryDirectory()
    const [nobody = 0] = await lastingPorts(1)
    writeEnvironment(directory, {
      KAFKA_BROKERS: testServers().kafkaBrokers,
      DATABASE_URL: `postgres://app:secret@127.0.0.1:${nobody}/log`,
      DATABASE_ADMIN_URL: `postgres://boss:secret@127.0.0.1:${nobody}/postgres`,
      TEMPORAL_ADDRESS: testServers().temporalAddress,
      TEMPORAL_UI_URL: '',
    })
    const rows = await statusRows(directory)
    expect(rows.map((row) => row.state)).toEqual(['up', 'down', 'up'])
    const table = formatTable(rows)
    expect(table).toContain(`127.0.0.1:${nobody}/log`)
    expect(table).not.toContain('secret')
  })

  it('lines its columns up', () => {
    const row = { by: 'native', state: 'up', pid: '1' } as const
    const table = formatTable([
      { ...row, server: 'kafka', address: 'a:1' },
      { ...row, server: 'temporal', address: 'b:2', pid: '12345' },
    ])
    expect(table).toBe(
      [
        'server    state  by      pid    address',
        'kafka     up     native  1      a:1',
        'temporal  up     native  12345  b:2',
      ].join('\n'),
    )
  })
})
