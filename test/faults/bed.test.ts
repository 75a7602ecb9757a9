import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { Connection, WorkflowClient } from '@temporalio/client'
import kafkajs from 'kafkajs'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openBed } from '../../bench/faults/bed/bed.ts'
import { bedEnvironment } from '../../bench/faults/bed/environment.ts'
import { api, type Bed, type Frame } from '../../bench/faults/contract.ts'
import { World } from '../../bench/run/world.ts'
import { postgresFolder } from '../../stack/postgres.ts'
import { isAlive, startOf } from '../../stack/process.ts'
import { temporaryDirectory } from '../stack/temporary.ts'
import { until } from '../support/platform.ts'

const directories = ['bed-test-', 'bed-left-'].map((prefix) => mkdtempSync(join(tmpdir(), prefix)))
const [directory = '', leftDirectory = ''] = directories
const quiet = { say: () => undefined, signal: new AbortController().signal }

afterAll(() => {
  for (const path of directories) rmSync(path, { recursive: true, force: true })
})

async function query(url: string, sql: string, limitMs = 20_000): Promise<unknown[]> {
  const client = new Client({
    connectionString: url,
    connectionTimeoutMillis: limitMs,
    query_timeout: limitMs,
  })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

async function withTemporal<T>(address: string, work: (client: WorkflowClient) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address })
  try {
    return await work(new WorkflowClient({ connection }))
  } finally {
    await connection.close()
  }
}

describe('a bed', () => {
  let bed: Bed
  const pids = new Set<number>()
  beforeAll(async () => {
    bed = await openBed({ directory, ...quiet })
  })
  afterAll(() => bed.close())

  it('has a Kafka whose clients never leave the passage, and which comes back after kill -9', {
    timeout: 120_000,
  }, async () => {
    const { nodes, brokersThroughPassages } = await bed.kafka()
    const [node] = nodes
    if (node === undefined) throw new Error('no node')
    pids.add(node.pid)
    const seen = new Map<number, number>()
    const note = (frame: Frame): 'pass' => {
      if (frame.protocol === 'kafka') seen.set(frame.apiKey, (seen.get(frame.apiKey) ?? 0) + 1)
      return 'pass'
    }
    node.passage.tap({ request: note })
    const kafka = new kafkajs.Kafka({
      brokers: brokersThroughPassages.split(','),
      logLevel: kafkajs.logLevel.NOTHING,
      retry: { retries: 20, initialRetryTime: 100, maxRetryTime: 500 },
    })
    const admin = kafka.admin()
    await admin.createTopics({ topics: [{ topic: 'kept', numPartitions: 1 }] })
    const producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner })
    await producer.connect()
    await producer.send({ topic: 'kept', messages: [{ value: 'before' }] })

    const before = node.pid
    await node.kill()
    expect(node.isRunning).toBe(false)
    expect(startOf(before)).toBeNull()
    await Promise.all([node.start(), node.start()])
    pids.add(node.pid)
    expect(node.pid).not.toBe(before)

    await producer.send({ topic: 'kept', messages: [{ value: 'after' }] })
    const consumer = kafka.consumer({ groupId: 'bed' })
    await consumer.subscribe({ topic: 'kept', fromBeginning: true })
    const values: string[] = []
    await consumer.run({
      eachMessage: async ({ message }) => void values.push(message.value?.toString() ?? ''),
    })
    await until(
      () => values.length === 2,
      20_000,
      () => `got ${values}`,
    )
    expect(values).toEqual(['before', 'after'])
    await Promise.all([consumer.disconnect(), producer.disconnect(), admin.disconnect()])
    for (const key of [api.produce, api.fetch, api.joinGroup, api.findCoordinator])
      expect(seen.get(key)).toBeGreaterThan(0)
    node.passage.reset()
  })

  it('has a PostgreSQL that keeps what it has committed, whatever ends it', async () => {
    const postgres = await bed.postgres()
    await query(postgres.adminUrl, 'create table kept (n int)')
    for (const end of ['kill', 'crash', 'stop'] as const) {
      await query(postgres.adminUrl, 'insert into kept values (1)')
      pids.add(postgres.pid)
      await postgres[end]()
      expect(postgres.isRunning).toBe(false)
      await expect(query(postgres.adminUrl, 'select')).rejects.toThrow()
      await postgres.start()
    }
    pids.add(postgres.pid)
    expect(await query(postgres.adminUrl, 'select n from kept')).toHaveLength(3)
    const { pid } = postgres
    await postgres.start()
    expect(postgres.pid).toBe(pid)
  })

  it('has a PostgreSQL that says nothing while it is frozen, on old connections either', async () => {
    const postgres = await bed.postgres()
    const client = new Client({ connectionString: postgres.adminUrl })
    client.on('error', () => undefined)
    await client.connect()
    await client.query('select 1')
    postgres.freeze()
    let answered = false
    const answer = client.query('select 2 as n').then(({ rows }) => {
      answered = true
      return rows
    })
    await expect(query(postgres.adminUrl, 'select', 1_000)).rejects.toThrow(/timeout/)
    expect(answered).toBe(false)
    postgres.thaw()
    expect(await answer).toEqual([{ n: 2 }])
    // Killed in its sleep: none of its children is left to keep the next one out.
    postgres.freeze()
    answer.catch(() => undefined)
    await postgres.kill()
    await postgres.start()
    pids.add(postgres.pid)
    expect(await query(postgres.adminUrl, 'select 3 as n')).toEqual([{ n: 3 }])
  })

  it('has a Temporal that keeps its address and its data over kill -9', async () => {
    const temporal = await bed.temporal()
    pids.add(temporal.pid)
    const workflowId = 'kept'
    await withTemporal(temporal.addressThroughPassage, (client) =>
      client.start('nobody', { workflowId, taskQueue: 'nobody' }),
    )
    await temporal.kill()
    await temporal.start()
    pids.add(temporal.pid)
    const { status } = await withTemporal(temporal.address, (client) =>
      client.getHandle(workflowId).describe(),
    )
    expect(status.name).toBe('RUNNING')
  })

  it('is somewhere to open a world, directly and through the passages', async () => {
    for (const through of [false, true]) {
      const env = await bedEnvironment(bed, { kafka: 'kafka', through })
      const world = await World.open('bed', { env }, { logs: bed.logs })
      const topic = await world.createTopic('in', 2)
      expect(await world.admin.fetchTopicOffsets(topic)).toHaveLength(2)
      const { appUrl } = await world.createDatabase()
      expect(await query(appUrl, 'select id from partition_logs')).toEqual([])
      await world.close({ keepLogs: false })
    }
    expect((await bed.postgres()).passage.forwarded).toBeGreaterThan(0)
  })

  it('is not shared', async () => {
    await expect(openBed({ directory, ...quiet })).rejects.toThrow(/uses .*bed-test-/)
  })

  it('leaves no process and no data behind, but the logs', async () => {
    await bed.close()
    expect([...pids].filter((pid) => startOf(pid) !== null)).toEqual([])
    expect(existsSync(join(directory, 'kafka'))).toBe(false)
    expect(existsSync(postgresFolder(directory))).toBe(false)
    expect(existsSync(join(bed.logs, 'postgres.log'))).toBe(true)
    await expect(bed.kafka()).rejects.toThrow(/closed/)
  })
})

describe('a directory of the local stack', () => {
  it('is left alone', async () => {
    const path = temporaryDirectory()
    writeFileSync(join(path, 'state.json'), '{}')
    mkdirSync(join(path, 'kafka'))
    await expect(openBed({ directory: path, ...quiet })).rejects.toThrow(/belongs to the local servers/)
    expect(existsSync(join(path, 'kafka'))).toBe(true)
  })
})

describe('a bed whose process was killed', () => {
  it('is taken over, and its servers are ended', async () => {
    const source = `
      const { openBed } = await import(${JSON.stringify(resolve(import.meta.dirname, '../../bench/faults/bed/bed.ts'))})
      const options = { say: () => undefined, signal: new AbortController().signal }
      const bed = await openBed({ directory: ${JSON.stringify(leftDirectory)}, ...options })
      const { pid } = await bed.postgres()
      console.log(pid)
      setInterval(() => undefined, 1000)
    `
    const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
    const pid = Number(line)
    const started = startOf(pid)
    if (started === null) throw new Error('PostgreSQL does not run')
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(isAlive({ pid, started })).toBe(true)
    const bed = await openBed({ directory: leftDirectory, ...quiet })
    expect(isAlive({ pid, started })).toBe(false)
    await bed.close()
  })
})
