/** Damage of every kind, done as the superuser to a log of its own, and what verification calls it. */
import { randomUUID } from 'node:crypto'
import type { Client } from 'pg'
import { describe, expect, it } from 'vitest'
import { type LogEntry, leafIndex, offset } from '../../src/domain/model.ts'
import { progressToJson } from '../../src/domain/verification/progress.ts'
import { auditEventsText } from '../../src/store/verification/auditRows.ts'
import { ageLog, appendTo, type OpenLog, useStore } from '../store/fixture.ts'
import { withClient } from '../support/database.ts'
import { eventValue, idAt, motley, trueEntry, type trueEvent, trueEvents, withoutGuards } from './trueLog.ts'
import { logOf, verifyWhole } from './verifyWhole.ts'

const fixture = useStore('verify')

const verify = (open: OpenLog, pages?: number) => verifyWhole(fixture.store, open, pages)
const trueLog = (entries: readonly LogEntry[], end: bigint, start?: bigint): Promise<OpenLog> =>
  logOf(fixture.store, entries, end, start)

const damage = (statements: (client: Client) => Promise<unknown>): Promise<void> =>
  withClient(fixture.database.adminUrl, (client) => withoutGuards(client, statements))

describe('a log that nobody touched', () => {
  it('verifies, with every kind of row in it, in one go and in slices', async () => {
    const { entries, end } = motley(100n, 2_000)
    const open = await trueLog(entries, end, 100n)
    const whole = await verify(open)
    expect(whole.findings).toEqual({ kept: [], counts: {} })
    expect(whole.size).toBe(2_000n)
    expect(whole.blocks).toEqual(open.position.frontier)
    expect(whole.counts).toMatchObject({ gaps: 49n, checkpoints: 0n, unproven: 0n })
    expect(whole.counts.events + whole.counts.deadLetters + whole.counts.gaps).toBe(2_000n)
    expect(progressToJson(await verify(open, 1))).toEqual(progressToJson(whole))
  })

  it('verifies at every size around a block, and empty', async () => {
    for (const size of [0n, 1n, 255n, 256n, 257n, 511n, 512n, 513n]) {
      const open = await trueLog(trueEvents(0n, size), size)
      const progress = await verify(open)
      expect([size, progress.findings.kept]).toEqual([size, []])
      expect(progress.size).toBe(size)
    }
  })

  it('verifies over the partitions of several days', async () => {
    const open = await trueLog(trueEvents(0n, 600n), 600n)
    await ageLog(fixture, open, 3)
    await appendTo(fixture.store, open, trueEvents(600n, 1_100n), 1_100n)
    await ageLog(fixture, open, 2)
    await appendTo(fixture.store, open, trueEvents(1_100n, 1_300n), 1_300n)
    const progress = await verify(open, 1)
    expect(progress.findings).toEqual({ kept: [], counts: {} })
    expect(progress.counts.events).toBe(1_300n)
  })
})

interface Case {
  readonly name: string
  readonly sql: string
  readonly finds: Record<string, unknown>
  readonly counts: Record<string, string>
}

/** Another time, a second away, in the same partition. */
const onTheSameDay = `ingested_at + case when extract(hour from ingested_at at time zone 'UTC') < 12
                                         then interval '1 second' else interval '-1 second' end`

/** On a log of 1,000 events at the offsets 0…999; $1 is the log. */
const cases: readonly Case[] = [
  {
    name: 'a value that still parses',
    sql: `update events set value = convert_to(replace(convert_from(value, 'UTF8'), '"number":300', '"number":301'), 'UTF8')
           where log_id = $1 and "offset" = 300`,
    finds: { kind: 'altered-bytes', leafIndex: '300', offset: '300' },
    counts: { 'altered-bytes': '1' },
  },
  {
    name: 'a value that parses no more',
    sql: `update events set value = '\\x7b' where log_id = $1 and "offset" = 0`,
    finds: { kind: 'altered-bytes', leafIndex: '0', offset: '0' },
    counts: { 'altered-bytes': '1' },
  },
  {
    name: 'a key, in the tail',
    sql: `update events set key = 'x' where log_id = $1 and "offset" = 999`,
    finds: { kind: 'altered-bytes', leafIndex: '999', offset: '999' },
    counts: { 'altered-bytes': '1' },
  },
  {
    name: 'a null key made empty',
    sql: `update events set key = '' where log_id = $1 and "offset" = 7`,
    finds: { kind: 'altered-bytes', leafIndex: '7' },
    counts: { 'altered-bytes': '1' },
  },
  {
    name: 'the headers',
    sql: `update events set headers = '\\x00' where log_id = $1 and "offset" = 400`,
    finds: { kind: 'altered-bytes', leafIndex: '400' },
    counts: { 'altered-bytes': '1' },
  },
  {
    name: 'the Kafka timestamp',
    sql: `update events set kafka_timestamp = kafka_timestamp + 1 where log_id = $1 and "offset" = 400`,
    finds: { kind: 'altered-bytes', leafIndex: '400' },
    counts: { 'altered-bytes': '1' },
  },
  ...(
    [
      ['id', `id = '${idAt(9_999)}'`],
      ['type', `type = 'x'`],
      ['source', `source = 'shoq'`],
      ['tenant_id', `tenant_id = null`],
      ['event_time', `event_time = event_time + 1`],
      ['classification', `classification = 'CONFIDENTIAL'`],
      ['policy_tags', `policy_tags = '{GDPR}'`],
      ['content_hash', `content_hash = sha256('x')`],
      ['leaf_hash', `leaf_hash = sha256('x')`],
      ['leaf_index', `leaf_index = leaf_index + 100000`],
      ['ingested_at', `ingested_at = ${onTheSameDay}`],
    ] as const
  ).map(
    ([column, change]): Case => ({
      name: `the column ${column}`,
      sql: `update events set ${change} where log_id = $1 and "offset" = 516`,
      finds: { kind: 'altered-column', column, leafIndex: '516', offset: '516' },
      counts: { 'altered-column': '1' },
    }),
  ),
  {
    name: 'several columns of several rows',
    sql: `update events set type = 'x', source = 'y' where log_id = $1 and "offset" in (20, 700)`,
    finds: { kind: 'altered-column', column: 'type, source', leafIndex: '20' },
    counts: { 'altered-column': '2' },
  },
  {
    name: 'a missing event',
    sql: `delete from events where log_id = $1 and "offset" = 300`,
    finds: { kind: 'missing', leafIndex: '300', count: '1' },
    counts: { missing: '1' },
  },
  {
    name: 'missing events over several blocks',
    sql: `delete from events where log_id = $1 and "offset" between 200 and 799`,
    finds: { kind: 'missing', leafIndex: '200', count: '56' },
    counts: { missing: '600' },
  },
  {
    name: 'the last events missing',
    sql: `delete from events where log_id = $1 and "offset" >= 900`,
    finds: { kind: 'missing', leafIndex: '900', count: '100' },
    counts: { missing: '100' },
  },
  {
    name: 'all events missing',
    sql: 'delete from events where log_id = $1',
    finds: { kind: 'missing', leafIndex: '0', count: '256' },
    counts: { missing: '1000' },
  },
  {
    name: 'an event that is there twice, on another day',
    sql: `insert into events select "offset", leaf_index, event_time, kafka_timestamp, ingested_at + interval '1 day', log_id, id,
            type, source, tenant_id, classification, policy_tags, key, value, headers, content_hash, leaf_hash
            from events where log_id = $1 and "offset" = 300`,
    finds: { kind: 'inserted', leafIndex: '300', offset: '300' },
    counts: { inserted: '1' },
  },
  {
    name: 'an event put in with an index of its own',
    sql: `insert into events select "offset" + 5000, leaf_index + 5000, event_time, kafka_timestamp, ingested_at, log_id, id,
            type, source, tenant_id, classification, policy_tags, key, value, headers, content_hash, leaf_hash
            from events where log_id = $1 and "offset" = 300`,
    finds: { kind: 'inserted', offset: '5300' },
    counts: { inserted: '1' },
  },
  {
    name: 'an event below the start of the log',
    sql: `insert into events select -5, 0, event_time, kafka_timestamp, ingested_at, log_id, id,
            type, source, tenant_id, classification, policy_tags, key, value, headers, content_hash, leaf_hash
            from events where log_id = $1 and "offset" = 0`,
    finds: { kind: 'inserted', offset: '-5' },
    counts: { inserted: '1' },
  },
  {
    name: "two events with each other's offset",
    sql: `update events set "offset" = -1 - "offset" where log_id = $1 and "offset" in (300, 310);
          update events set "offset" = case "offset" when -301 then 310 else 300 end where log_id = $1 and "offset" < 0`,
    finds: { kind: 'reordered', leafIndex: '300' },
    counts: { reordered: '2' },
  },
  {
    name: "two events with each other's offset and leaf index",
    sql: `update events set "offset" = -1 - "offset" where log_id = $1 and "offset" in (300, 310);
          update events set "offset" = case "offset" when -301 then 310 else 300 end,
                            leaf_index = case "offset" when -301 then 310 else 300 end where log_id = $1 and "offset" < 0`,
    finds: { kind: 'reordered', leafIndex: '300' },
    counts: { reordered: '2' },
  },
  {
    name: 'an event moved to the day before',
    sql: `update events set ingested_at = ingested_at - interval '1 day' where log_id = $1 and "offset" = 300`,
    finds: { kind: 'reordered', column: 'ingested_at', leafIndex: '300' },
    counts: { reordered: '1' },
  },
  {
    name: 'an event moved to the day after',
    sql: `update events set ingested_at = ingested_at + interval '1 day' where log_id = $1 and "offset" = 300`,
    finds: { kind: 'reordered', column: 'ingested_at', leafIndex: '300' },
    counts: { reordered: '1' },
  },
  {
    name: 'an event made a dead letter',
    sql: `insert into dead_letters select log_id, "offset", "offset", leaf_index, 'DUPLICATE_ID', 'x', key, value, headers,
            kafka_timestamp, leaf_hash, ingested_at from events where log_id = $1 and "offset" = 300;
          delete from events where log_id = $1 and "offset" = 300`,
    finds: { kind: 'altered-column', column: 'code', leafIndex: '300' },
    counts: { 'altered-column': '1' },
  },
  {
    name: 'a node',
    sql: 'update log_nodes set hash = sha256(hash) where log_id = $1 and index = 1',
    finds: { kind: 'node', column: 'hash', leafIndex: '256' },
    counts: { node: '1' },
  },
  {
    name: "a node's end",
    sql: 'update log_nodes set end_offset = end_offset - 10, bytes = bytes + 1 where log_id = $1 and index = 1',
    finds: { kind: 'node', column: 'end_offset, bytes', leafIndex: '256' },
    counts: { node: '1' },
  },
  {
    name: 'a missing node',
    sql: 'delete from log_nodes where log_id = $1 and index = 2',
    finds: { kind: 'node', leafIndex: '512' },
    counts: { node: '1' },
  },
  {
    name: 'a node over leaves that are not there',
    sql: `insert into log_nodes select log_id, level, 3, hash, end_offset + 1, bytes, ingested_at from log_nodes
           where log_id = $1 and index = 2`,
    finds: { kind: 'node', leafIndex: '768' },
    counts: { node: '1' },
  },
  {
    name: 'the frontier',
    sql: `update partition_logs set frontier = overlay(frontier placing sha256('x') from 1) where id = $1`,
    finds: { kind: 'frontier', column: 'frontier' },
    counts: { frontier: '1' },
  },
  {
    name: 'the count of bytes',
    sql: 'update partition_logs set bytes = bytes + 1 where id = $1',
    finds: { kind: 'frontier', column: 'bytes' },
    counts: { frontier: '1' },
  },
]

/** On a log with every kind of row; `$1` is the log. */
const motleyCases: readonly Case[] = [
  {
    name: 'the code of a dead letter that follows from its bytes',
    sql: `update dead_letters set code = 'SCHEMA' where log_id = $1 and code = 'INVALID_JSON' and leaf_index = 11`,
    finds: { kind: 'altered-column', column: 'code', leafIndex: '11' },
    counts: { 'altered-column': '1' },
  },
  {
    name: 'a duplicate that is called a conflict',
    sql: `update dead_letters set code = 'ID_CONFLICT' where log_id = $1 and code = 'DUPLICATE_ID' and leaf_index = 70`,
    finds: { kind: 'altered-column', column: 'code', leafIndex: '70' },
    counts: { 'altered-column': '1' },
  },
  {
    name: 'a code that is none',
    sql: `update dead_letters set code = 'NOTHING' where log_id = $1 and leaf_index = 11`,
    finds: { kind: 'altered-column', column: 'code', leafIndex: '11' },
    counts: { 'altered-column': '1' },
  },
  {
    name: 'a batch that is called a record',
    sql: `update dead_letters set code = 'SCHEMA' where log_id = $1 and leaf_index = 23`,
    finds: { kind: 'altered-column', column: 'code', leafIndex: '23' },
    counts: { 'altered-column': '1' },
  },
  {
    name: 'a record that is called a batch',
    sql: `update dead_letters set code = 'UNDECODABLE_BATCH' where log_id = $1 and leaf_index = 11`,
    finds: { kind: 'altered-column', column: 'code', leafIndex: '11' },
    counts: { 'altered-column': '1' },
  },
  {
    name: 'the bytes of a batch',
    sql: `update dead_letters set value = value || '\\x00' where log_id = $1 and leaf_index = 23`,
    finds: { kind: 'altered-bytes', leafIndex: '23' },
    counts: { 'altered-bytes': '1' },
  },
  {
    name: 'the bytes of a dead letter',
    sql: `update dead_letters set value = 'still not json' where log_id = $1 and leaf_index = 11`,
    finds: { kind: 'altered-bytes', leafIndex: '11' },
    counts: { 'altered-bytes': '1' },
  },
  {
    name: 'a missing dead letter',
    sql: 'delete from dead_letters where log_id = $1 and leaf_index = 298',
    finds: { kind: 'missing', leafIndex: '298', count: '1' },
    counts: { missing: '1' },
  },
  {
    name: 'a missing gap',
    sql: 'delete from gaps where log_id = $1 and leaf_index = 292',
    finds: { kind: 'missing', leafIndex: '292', count: '1' },
    counts: { missing: '1' },
  },
  {
    name: 'a gap with other offsets',
    sql: 'update gaps set to_offset = to_offset - 1 where log_id = $1 and leaf_index = 292',
    finds: { kind: 'altered-bytes', leafIndex: '292' },
    counts: { 'altered-bytes': '1' },
  },
  {
    name: 'a dead letter made an event',
    sql: `insert into events select "offset", leaf_index, 0, kafka_timestamp, ingested_at, log_id, gen_random_uuid(), 'x', 'x', null,
            'UNCLASSIFIED', '{}', key, value, headers, leaf_hash, leaf_hash from dead_letters where log_id = $1 and leaf_index = 11;
          delete from dead_letters where log_id = $1 and leaf_index = 11`,
    finds: { kind: 'altered-column', column: 'the verdict (INVALID_JSON)', leafIndex: '11' },
    counts: { 'altered-column': '1' },
  },
]

describe('damage to dead letters and gaps is found and named', () => {
  it.each(motleyCases)('$name', async ({ sql, finds, counts }) => {
    const { entries, end } = motley(0n, 600)
    const open = await trueLog(entries, end)
    await damage(async (client) => {
      for (const statement of sql.split(';'))
        expect((await client.query(statement, [open.log.logId])).rowCount).toBe(1)
    })
    const { findings } = await verify(open)
    expect(findings.counts).toEqual(counts)
    expect(findings.kept[0]).toMatchObject(finds)
  })
})

describe('checkpoints are held against the rows', () => {
  /** Checkpoints of every kind of size, made before anything happened. */
  async function checkpointed(): Promise<{ open: OpenLog; ids: ReadonlyMap<bigint, string> }> {
    const open = await trueLog(trueEvents(0n, 1_000n), 1_000n)
    const { logId, identity } = open.log
    const ids = new Map<bigint, string>()
    for (const size of [0n, 1n, 256n, 300n, 512n, 768n, 999n, 1_000n]) {
      const id = randomUUID()
      ids.set(size, id)
      const rootHash = await fixture.store.reader.rootAt(logId, leafIndex(size))
      const place = {
        logId,
        partition: 0,
        offset: offset(size),
        size: leafIndex(size),
        rootHash,
        note: null,
      }
      const { topic } = identity
      const checkpoint = {
        id,
        topic,
        partition: 0,
        offset: offset(size),
        createdBy: 'ada',
        positions: [place],
      }
      await fixture.store.checkpoints.insertCheckpoint(checkpoint)
    }
    return { open, ids }
  }

  it('and agree with a log that nobody touched, whatever their size', async () => {
    const { open } = await checkpointed()
    const progress = await verify(open)
    expect(progress.findings.kept).toEqual([])
    expect(progress.counts.checkpoints).toBe(7n)
    expect(progressToJson(await verify(open, 1))).toEqual(progressToJson(progress))
  })

  it('a history rewritten with leaf hashes, nodes and frontier is told by the first checkpoint over it', async () => {
    const { open, ids } = await checkpointed()
    // The same log, had the event at 300 been another one all along.
    const forged = trueEntry({ offset: 300n, value: eventValue(300n, { type: 'forged' }) })
    const other = await trueLog(trueEvents(0n, 1_000n).with(300, forged), 1_000n)
    await damage(async (client) => {
      const [id, from] = [open.log.logId, other.log.logId]
      await rewrite(client, open, forged)
      await client.query(
        'update log_nodes n set hash = o.hash, bytes = o.bytes from log_nodes o where n.log_id = $1 and o.log_id = $2 and n.level = o.level and n.index = o.index',
        [id, from],
      )
      await client.query(
        'update partition_logs l set frontier = o.frontier, bytes = o.bytes from partition_logs o where l.id = $1 and o.id = $2',
        [id, from],
      )
    })
    const { findings } = await verify(open)
    expect(findings.counts).toEqual({ checkpoint: '4' })
    expect(findings.kept[0]).toMatchObject({
      kind: 'checkpoint',
      column: 'root_hash',
      checkpointId: ids.get(512n),
      leafIndex: '256',
    })
  })

  it('a rewritten tail under a checkpoint is the rows, an altered frontier is not', async () => {
    const { open } = await checkpointed()
    await damage((client) => rewrite(client, open, trueEntry({ offset: 900n, value: eventValue(5_000n) })))
    expect((await verify(open)).findings.counts).toEqual({ checkpoint: '2', frontier: '1' })
  })

  it('a signed note that says otherwise than its checkpoint', async () => {
    const { open, ids } = await checkpointed()
    const noteOf = (size: bigint, root: string) =>
      `ingest.example/log\n${size}\n${root}\n\n— ingest.example AAAAAAAA\n`
    const root = Buffer.from(await fixture.store.reader.rootAt(open.log.logId, leafIndex(300n)), 'latin1')
    const put = (size: bigint, note: string) =>
      damage((client) =>
        client.query('update checkpoint_positions set note = $2 where checkpoint_id = $1', [
          ids.get(size),
          note,
        ]),
      )
    // Of which nobody knows a key: what it says is right, and who says it is not (notes.test.ts).
    await put(300n, noteOf(300n, root.toString('base64')))
    expect((await verify(open)).findings.kept).toMatchObject([
      { kind: 'checkpoint', column: 'note', detail: expect.stringContaining('no key is known') },
    ])
    await put(300n, noteOf(301n, root.toString('base64')))
    await put(512n, noteOf(512n, root.toString('base64')))
    await put(999n, 'no note')
    const { findings } = await verify(open)
    expect(findings.kept.map(({ kind, column, checkpointId }) => [kind, column, checkpointId])).toEqual(
      [300n, 512n, 999n].map((size) => ['checkpoint', 'note', ids.get(size)]),
    )
  })

  it('a checkpoint that was altered, and one over more than there is', async () => {
    const { open, ids } = await checkpointed()
    await damage(async (client) => {
      await client.query('update checkpoint_positions set "offset" = 299 where checkpoint_id = $1', [
        ids.get(300n),
      ])
      await client.query('update checkpoint_positions set size = 1001 where checkpoint_id = $1', [
        ids.get(1_000n),
      ])
      await client.query(
        'update checkpoint_positions set root_hash = sha256(root_hash) where checkpoint_id = $1',
        [ids.get(0n)],
      )
    })
    const { findings } = await verify(open)
    expect(findings.counts).toEqual({ checkpoint: '3' })
    expect(findings.kept.map(({ checkpointId, column }) => [checkpointId, column])).toEqual([
      [ids.get(300n), 'offset'],
      [ids.get(1_000n), 'size'],
      [ids.get(0n), 'root_hash'],
    ])
  })
})

it('pages of a log open only the partition that holds them, by its index', async () => {
  const open = await trueLog(trueEvents(0n, 100n), 100n)
  await withClient(fixture.database.adminUrl, async (client) => {
    await client.query(
      'select create_events_partition(current_date + days) from generate_series(-20, 20) days',
    )
    const [span] = await fixture.store.audit.spans(open.log.logId)
    if (span === undefined) throw new Error('no span')
    const request = { logId: open.log.logId, span, from: 0n, below: 100n, maxRows: 50 }
    await client.query('set enable_seqscan = off; set enable_bitmapscan = off')
    const { rows } = await client.query<{ 'QUERY PLAN': string }>(`explain ${auditEventsText(request)}`)
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
    expect(plan.match(/ on events_\d+/g)).toHaveLength(1)
    expect(plan).toMatch(/Index Scan using events_\d+_log_offset/)
    expect(plan).not.toMatch(/Sort|Seq Scan/)
  })
})

describe('damage is found and named', () => {
  it.each(cases)('$name', async ({ sql, finds, counts }) => {
    const open = await trueLog(trueEvents(0n, 1_000n), 1_000n)
    const other = await trueLog(trueEvents(0n, 300n), 300n)
    await damage(async (client) => {
      await client.query(
        `select create_events_partition(current_date + days) from generate_series(-2, 2) days`,
      )
      for (const statement of sql.split(';'))
        expect((await client.query(statement, [open.log.logId])).rowCount).toBeGreaterThan(0)
    })
    const progress = await verify(open)
    expect(progress.findings.counts).toEqual(counts)
    expect(progress.findings.kept[0]).toMatchObject(finds)
    expect(progressToJson(await verify(open, 1)).findings).toEqual(progress.findings)
    expect((await verify(other)).findings.kept).toEqual([])
  })

  it('an event rewritten with its leaf hash: the block is named, and that it was the rows', async () => {
    const open = await trueLog(trueEvents(0n, 1_000n), 1_000n)
    const forged = trueEntry({ offset: 300n, value: eventValue(300n, { type: 'forged' }) })
    await damage((client) => rewrite(client, open, forged))
    const { findings } = await verify(open)
    expect(findings.counts).toEqual({ rewritten: '1' })
    expect(findings.kept[0]).toMatchObject({ kind: 'rewritten', leafIndex: '256' })
  })

  it("a rewritten tail: nothing but the log's own row tells", async () => {
    const open = await trueLog(trueEvents(0n, 1_000n), 1_000n)
    await damage((client) => rewrite(client, open, trueEntry({ offset: 900n, value: eventValue(5_000n) })))
    const { findings } = await verify(open)
    expect(findings.counts).toEqual({ frontier: '1' })
  })
})

/** Bytes, columns and leaf hash of another event, all of them right. */
async function rewrite(client: Client, open: OpenLog, entry: ReturnType<typeof trueEvent>): Promise<void> {
  const { records, decoded, leaf } = entry
  if (decoded.kind !== 'event') throw new Error('no event')
  const part = (start: number | undefined, end: number | undefined) =>
    start === undefined || start < 0 ? null : records.bytes.subarray(start, end)
  await client.query(
    `update events set key = $3, value = $4, headers = $5, kafka_timestamp = $6, id = $7, type = $8, source = $9,
            tenant_id = $10, event_time = $11, classification = $12, policy_tags = $13, content_hash = $14, leaf_hash = $15
      where log_id = $1 and "offset" = $2`,
    [
      open.log.logId,
      records.offsets[0],
      part(records.keyStarts[0], records.keyEnds[0]),
      part(records.valueStarts[0], records.valueEnds[0]),
      part(records.headerStarts[0], records.headerEnds[0]),
      records.timestamps[0],
      decoded.id,
      decoded.type,
      decoded.source,
      decoded.tenantId,
      decoded.timestampMs,
      decoded.classification,
      decoded.policyTags,
      Buffer.from(decoded.contentHash, 'latin1'),
      Buffer.from(leaf, 'latin1'),
    ],
  )
}
