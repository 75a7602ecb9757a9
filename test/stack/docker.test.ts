import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { postgresFolder } from '../../stack/postgres.ts'
import { type StackOptions, startStack, stopStack } from '../../stack/servers.ts'
import { temporaryDirectory } from './temporary.ts'

/** A `docker` that writes down what it is asked and answers as an engine would: no engine is needed to check the asking. */
const fakeDocker = `#!/bin/sh
printf '%s\\n' "$*" >> "$(dirname "$0")/asked"
case "$*" in
  'compose ps '*) if test -e "$(dirname "$0")/running"; then echo 0123456789ab; fi ;;
  'compose port kafka 19092') echo 127.0.0.1:31234 ;;
  'compose up '*)
    if test -e "$(dirname "$0")/broken"; then echo 'no such image' >&2; exit 1; fi
    printf '%s' "$KAFKA_PORT" > "$(dirname "$0")/port"; : > "$(dirname "$0")/running" ;;
  'compose stop '*) rm "$(dirname "$0")/running" ;;
esac
`

describe('where a Docker engine answers', () => {
  const path = process.env['PATH'] ?? ''
  let bin: string
  const asked = (): string[] => readFileSync(join(bin, 'asked'), 'utf8').trim().split('\n')
  const mark = (name: string): void => writeFileSync(join(bin, name), '')

  beforeEach(() => {
    bin = temporaryDirectory()
    writeFileSync(join(bin, 'docker'), fakeDocker)
    chmodSync(join(bin, 'docker'), 0o755)
    process.env['PATH'] = `${bin}${delimiter}${path}`
  })
  afterEach(() => {
    process.env['PATH'] = path
  })

  it('brings up that one service, waits until it is healthy, and stops it again', async () => {
    const options: StackOptions = { directory: temporaryDirectory(), only: ['kafka'], environment: {} }
    const stack = await startStack(options)
    expect(stack.env.KAFKA_BROKERS).toBe(`127.0.0.1:${readFileSync(join(bin, 'port'), 'utf8')}`)
    expect(stack.pids).toEqual({})
    expect(asked()).toContain('compose up --detach --wait kafka')
    await stack.stop()
    expect(asked().at(-1)).toBe('compose stop --timeout 6 kafka')
    expect(existsSync(join(bin, 'running'))).toBe(false)
  })

  it('uses a service that runs already, where it is published, and leaves it running', async () => {
    mark('running')
    const stack = await startStack({ directory: temporaryDirectory(), only: ['kafka'], environment: {} })
    expect(stack.env.KAFKA_BROKERS).toBe('127.0.0.1:31234')
    await stack.stop()
    expect(existsSync(join(bin, 'running'))).toBe(true)
    expect(asked().filter((line) => /^compose (up|stop)/.test(line))).toEqual([])
  })

  it('starts the server without Docker when Docker cannot', async () => {
    mark('broken')
    const directory = temporaryDirectory()
    const said: string[] = []
    const options: StackOptions = {
      directory,
      only: ['postgres'],
      environment: {},
      onProgress: (text) => said.push(text),
    }
    try {
      const stack = await startStack(options)
      expect(stack.pids.postgres).toBeGreaterThan(0)
      expect(said.join('\n')).toContain('no such image')
    } finally {
      await stopStack(options)
      rmSync(postgresFolder(directory), { recursive: true, force: true })
    }
  })
})
