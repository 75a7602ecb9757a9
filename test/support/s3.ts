/** A real S3-compatible server that nobody here wrote: versitygw, over a folder of its own, on loopback. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import type { S3Place } from '../../src/domain/s3Place.ts'
import type { S3Credentials } from '../../src/s3/objectStore.ts'
import { lastingPorts } from '../../stack/ports.ts'
import { buildGoTool, type GoTool, goToolMissing } from './goTools.ts'
import { until } from './platform.ts'

export const versitygw: GoTool = {
  folder: join(import.meta.dirname, 'versitygw'),
  name: 'versitygw',
  path: 'github.com/versity/versitygw/cmd/versitygw',
}
const REGION = 'us-east-1'

export interface S3Server {
  readonly endpoint: string
  readonly credentials: S3Credentials
  /** For what the product never does: making buckets, deleting versions. */
  readonly client: S3Client
  /** A new bucket, with object lock when asked for. */
  makeBucket(name: string, options?: { readonly objectLock?: boolean }): Promise<S3Place>
  /** Ends the server and leaves its data: `start` brings it back at the same address. */
  stop(): Promise<void>
  start(): Promise<void>
  /** Ends it for good, with its data. */
  close(): Promise<void>
}

/** Why there cannot be one here, for a person; null when there can. */
export const s3Missing = (): string | null => goToolMissing(versitygw)

/** Builds it when needed, which takes minutes once, and starts it; one that keeps no versions, when asked for. */
export async function startS3Server({ versions = true } = {}): Promise<S3Server> {
  const program = await buildGoTool(versitygw)
  const folder = mkdtempSync(join(tmpdir(), 'test-s3-'))
  for (const name of ['data', 'versions', 'meta', 'iam']) mkdirSync(join(folder, name))
  const [port = 0] = await lastingPorts(1)
  const endpoint = `http://127.0.0.1:${port}`
  const credentials = { accessKeyId: 'test-access', secretAccessKey: 'test-secret-key' }
  const client = new S3Client({ endpoint, region: REGION, forcePathStyle: true, credentials, maxAttempts: 1 })
  let child: ChildProcess | null = null
  const stop = async (): Promise<void> => {
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }
  const start = async (): Promise<void> => {
    const args = [
      '--port',
      `127.0.0.1:${port}`,
      '--region',
      REGION,
      '--health',
      '/health',
      '--iam-dir',
      join(folder, 'iam'),
    ]
    const kept = versions ? ['--versioning-dir', join(folder, 'versions')] : []
    const backend = ['posix', ...kept, '--sidecar', join(folder, 'meta')]
    let said = ''
    child = spawn(program, [...args, ...backend, join(folder, 'data')], {
      env: {
        PATH: process.env['PATH'],
        ROOT_ACCESS_KEY: credentials.accessKeyId,
        ROOT_SECRET_KEY: credentials.secretAccessKey,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        said = (said + chunk.toString('utf8')).slice(-20_000)
      })
    const started = child
    await until(
      async () => {
        if (started.exitCode !== null) throw new Error(`versitygw ended with ${started.exitCode}:\n${said}`)
        return await fetch(`${endpoint}/health`).then(
          (answer) => answer.ok,
          () => false,
        )
      },
      30_000,
      () => said,
    )
  }
  await start()
  return {
    endpoint,
    credentials,
    client,
    async makeBucket(bucket, { objectLock = false } = {}) {
      await client.send(new CreateBucketCommand({ Bucket: bucket, ObjectLockEnabledForBucket: objectLock }))
      return { bucket, prefix: '', endpoint, region: REGION, pathStyle: true, lock: null }
    },
    stop,
    start,
    async close() {
      client.destroy()
      await stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
