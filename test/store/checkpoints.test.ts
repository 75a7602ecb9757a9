import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { sha256 } from '../../src/domain/hash.ts'
import { leafIndex, offset } from '../../src/domain/model.ts'
import { withClient } from '../support/database.ts'
import { openLog, useStore } from './fixture.ts'

const fixture = useStore('checkpoints')

async function aCheckpoint(topic: string, partitions: readonly number[]) {
  const positions = []
  for (const partition of partitions) {
    const { log } = await openLog(fixture.store, 0n, partition)
    positions.push({
      logId: log.logId,
      partition,
      offset: offset(2n ** 60n + 5n),
      size: leafIndex(7n),
      rootHash: sha256(`${partition}`),
      note: partition === 0 ? null : `a note of ${partition}\n`,
    })
  }
  return { id: randomUUID() as string, topic, partition: null, offset: null, createdBy: 'me', positions }
}

test('a checkpoint is stored once and read back as it was', async () => {
  const { checkpoints } = fixture.store
  const checkpoint = await aCheckpoint('a', [0, 1])
  const stored = await checkpoints.insertCheckpoint(checkpoint)
  expect(stored).toEqual({ ...checkpoint, createdAt: expect.any(Date) })
  expect(
    await checkpoints.insertCheckpoint({ ...checkpoint, createdBy: 'somebody else', positions: [] }),
  ).toEqual(stored)
  expect(await checkpoints.getCheckpoint(checkpoint.id)).toEqual(stored)
  for (const id of [randomUUID(), 'no uuid', '']) expect(await checkpoints.getCheckpoint(id)).toBeNull()
})

test('no note is larger than one can be, whoever writes it: readers would end with it', async () => {
  const insert = (note: string, size: number) =>
    withClient(fixture.database.appUrl, (client) =>
      client.query(
        `with c as (
           insert into checkpoints (id, topic, partition, "offset", created_by) values (gen_random_uuid(), 't', null, null, 'x') returning id)
         insert into checkpoint_positions (checkpoint_id, log_id, partition, "offset", size, root_hash, note)
         select c.id, l.id, 0, 0, $2, decode(repeat('00', 32), 'hex'), $1 from c, (select id from partition_logs limit 1) l`,
        [note, size],
      ),
    )
  await openLog(fixture.store)
  await expect(insert('x'.repeat(1_000_001), 0)).rejects.toMatchObject({ code: '23514' })
  await expect(insert('x', -1)).rejects.toMatchObject({ code: '23514' })
})

test('the same id from many at once is stored once', async () => {
  const { checkpoints } = fixture.store
  const checkpoint = await aCheckpoint('raced', [0])
  const stored = await Promise.all(
    Array.from({ length: 6 }, (_, i) =>
      checkpoints.insertCheckpoint({ ...checkpoint, createdBy: `writer ${i}` }),
    ),
  )
  expect(new Set(stored.map((each) => each.createdBy)).size).toBe(1)
  expect(stored.every((each) => each.positions.length === 1)).toBe(true)
})

test('the latest is the last one stored, of the topic and partition asked for', async () => {
  const { checkpoints } = fixture.store
  expect(await checkpoints.latestCheckpoint({ topic: 'nowhere' })).toBeNull()
  const both = await checkpoints.insertCheckpoint(await aCheckpoint('latest', [0, 1]))
  const one = await checkpoints.insertCheckpoint({
    ...(await aCheckpoint('latest', [1])),
    partition: 1,
    offset: offset(9n),
  })
  const other = await checkpoints.insertCheckpoint(await aCheckpoint('latest-other', [0]))
  expect(await checkpoints.latestCheckpoint({})).toEqual(other)
  expect(await checkpoints.latestCheckpoint({ topic: 'latest' })).toEqual(one)
  expect(await checkpoints.latestCheckpoint({ topic: 'latest', partition: 0 })).toEqual(both)
  expect(await checkpoints.latestCheckpoint({ topic: 'latest', partition: 2 })).toBeNull()
})
