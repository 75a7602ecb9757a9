import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Passage } from '../../bench/faults/contract.ts'
import { openPassage } from '../../bench/faults/passage/passage.ts'
import { lastingPorts } from '../../stack/ports.ts'

/** A server that does what it is told with each connection, and a passage to it. */
async function between(serve: (socket: Socket) => void): Promise<{ passage: Passage; server: Server }> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    onTestFinished(() => void socket.destroy())
    socket.on('error', () => socket.destroy())
    serve(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const passage = await openPassage({ target: `127.0.0.1:${address.port}`, protocol: 'raw' })
  onTestFinished(async () => {
    await passage.close()
    server.close()
  })
  return { passage, server }
}

const echo = (socket: Socket): void => void socket.pipe(socket)

function connecting(passage: Passage): Socket {
  const socket = connect({ host: '127.0.0.1', port: passage.port, allowHalfOpen: true, noDelay: true })
  onTestFinished(() => void socket.destroy())
  socket.on('error', () => undefined)
  return socket
}

async function client(passage: Passage): Promise<Socket> {
  const socket = connecting(passage)
  await once(socket, 'connect')
  return socket
}

/** The next so many bytes. */
function receive(socket: Socket, count: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let left = count
  return new Promise((resolve, reject) => {
    const broken = (): void => reject(new Error('the connection is closed'))
    const take = (chunk: Buffer): void => {
      chunks.push(chunk)
      left -= chunk.length
      if (left > 0) return
      socket.off('data', take).off('close', broken)
      resolve(Buffer.concat(chunks))
    }
    socket.on('data', take).on('close', broken)
  })
}

/** Says it and waits until so many bytes have come back. */
function exchange(socket: Socket, bytes: Buffer): Promise<Buffer> {
  const received = receive(socket, bytes.length)
  socket.write(bytes)
  return received
}

const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => socket.once('close', () => resolve()))

const failureOf = (socket: Socket): Promise<string> =>
  new Promise((resolve) => socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? '')))

describe('a passage without faults', () => {
  it('forwards what comes, in both directions, and counts it', async () => {
    const { passage } = await between(echo)
    const bytes = randomBytes(8 * 1024 * 1024)
    const socket = await client(passage)
    expect((await exchange(socket, bytes)).equals(bytes)).toBe(true)
    expect(passage.forwarded).toBe(2 * bytes.length)
  })

  it('lets one side end and still hear the other', async () => {
    const { passage } = await between(async (socket) => {
      const heard = await buffer(socket)
      socket.end(heard.reverse())
    })
    const socket = await client(passage)
    socket.end('drawer')
    expect((await buffer(socket)).toString()).toBe('reward')
  })

  it('takes no more from one side than the other can take', async () => {
    const accepted = Promise.withResolvers<Socket>()
    const { passage } = await between((socket) => accepted.resolve(socket.pause()))
    const socket = await client(passage)
    const bytes = randomBytes(64 * 1024 * 1024)
    socket.end(bytes)
    let before = -1
    while (passage.forwarded > before) {
      before = passage.forwarded
      await sleep(300)
    }
    expect(passage.forwarded).toBeLessThan(bytes.length / 2)
    expect((await buffer(await accepted.promise)).equals(bytes)).toBe(true)
  })

  it.each(['client', 'server'] as const)('passes a reset of the %s on', async (breaks) => {
    const accepted = Promise.withResolvers<Socket>()
    const { passage } = await between((socket) => accepted.resolve(socket))
    const ends = { client: await client(passage), server: await accepted.promise }
    const other = breaks === 'client' ? ends.server : ends.client
    const failure = failureOf(other)
    ends[breaks].resetAndDestroy()
    expect(await failure).toBe('ECONNRESET')
  })

  it('cuts whoever comes when nobody listens behind it', async () => {
    const [port = 0] = await lastingPorts(1)
    const passage = await openPassage({ target: `127.0.0.1:${port}`, protocol: 'raw' })
    onTestFinished(() => passage.close())
    expect(await failureOf(connecting(passage))).toBe('ECONNRESET')
  })
})

describe('a passage that is', () => {
  it('cut loses its connections, both ends of them, and takes new ones', async () => {
    const accepted = Promise.withResolvers<Socket>()
    const { passage } = await between((socket) => {
      accepted.resolve(socket)
      echo(socket)
    })
    const socket = await client(passage)
    await exchange(socket, Buffer.from('hello'))
    const failures = Promise.all([failureOf(socket), failureOf(await accepted.promise)])
    passage.cut()
    expect(await failures).toEqual(['ECONNRESET', 'ECONNRESET'])
    await exchange(await client(passage), Buffer.from('hello again'))
  })

  it('shut takes nobody until it is opened', async () => {
    const { passage } = await between(echo)
    const before = await client(passage)
    const failure = failureOf(before)
    passage.shut()
    expect(await failure).toBe('ECONNRESET')
    expect(await failureOf(connecting(passage))).toBe('ECONNRESET')
    passage.open()
    await exchange(await client(passage), Buffer.from('hello'))
  })

  it('deaf forwards nothing and closes nothing, for old and new connections; reset cuts them', async () => {
    const accepted: Socket[] = []
    const { passage } = await between((socket) => {
      accepted.push(socket)
      echo(socket)
    })
    const old = await client(passage)
    await exchange(old, Buffer.from('hello'))
    passage.deafen()
    const young = await client(passage)
    await expect.poll(() => passage.connections, { timeout: 20_000 }).toBe(2)
    const ends = [old, young, ...accepted]
    const heard = ends.map((socket) => {
      const events: string[] = []
      for (const event of ['data', 'end', 'close', 'error']) socket.on(event, () => events.push(event))
      return events
    })
    old.write('do you hear me?')
    young.end('do you?')
    accepted[0]?.write('and you?')
    await sleep(200)
    expect(heard).toEqual([[], [], []])
    expect(accepted).toHaveLength(1)
    expect(passage.connections).toBe(2)
    passage.reset()
    await Promise.all(ends.map(closed))
    expect(heard).toEqual(ends.map(() => ['error', 'close']))
    await exchange(await client(passage), Buffer.from('hello'))
    expect(passage.connections).toBe(1)
  })

  it('silence is for the connections of now alone', async () => {
    const { passage } = await between(echo)
    const old = await client(passage)
    await exchange(old, Buffer.from('hello'))
    passage.silence()
    const heard: string[] = []
    for (const event of ['data', 'end', 'close', 'error']) old.on(event, () => heard.push(event))
    old.write('do you hear me?')
    await exchange(await client(passage), Buffer.from('hello'))
    expect(heard).toEqual([])
    passage.reset()
    await closed(old)
  })

  it('slow delivers later, and in order whatever the jitter', async () => {
    const { passage } = await between(echo)
    const socket = await client(passage)
    passage.delay(100, 50)
    const startedMs = performance.now()
    const words = Array.from({ length: 20 }, (_, index) => `${index},`)
    const received = receive(socket, words.join('').length)
    for (const word of words) {
      socket.write(word)
      await sleep(2)
    }
    expect((await received).toString()).toBe(words.join(''))
    // There and back.
    expect(performance.now() - startedMs).toBeGreaterThan(200)
    passage.reset()
  })

  it('slow lets a connection end behind what it has said', async () => {
    const heard = Promise.withResolvers<Buffer>()
    const { passage } = await between((socket) => heard.resolve(buffer(socket)))
    const socket = await client(passage)
    passage.delay(100, 0)
    socket.end('famous last words')
    expect((await heard.promise).toString()).toBe('famous last words')
  })

  it('narrow carries so many bytes per second', async () => {
    const { passage } = await between(echo)
    passage.throttle(400_000)
    const socket = await client(passage)
    const bytes = randomBytes(200_000)
    const startedMs = performance.now()
    expect((await exchange(socket, bytes)).equals(bytes)).toBe(true)
    expect(performance.now() - startedMs).toBeGreaterThan(400)
    passage.reset()
    expect((await exchange(socket, bytes)).equals(bytes)).toBe(true)
  })

  it('closed has let go of its port and of everybody', async () => {
    const [port = 0] = await lastingPorts(1)
    const passage = await openPassage({
      target: (await between(echo)).passage.address,
      protocol: 'raw',
      port,
    })
    const socket = await client(passage)
    await exchange(socket, Buffer.from('hello'))
    const failure = failureOf(socket)
    await passage.close()
    expect(await failure).toBe('ECONNRESET')
    const again = await openPassage({ target: '127.0.0.1:1', protocol: 'raw', port })
    await again.close()
  })
})
