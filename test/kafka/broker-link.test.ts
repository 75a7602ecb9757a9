import net, { type AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BrokerLink } from '../../src/kafka/broker-link.ts'
import { unavailable } from '../../src/kafka/faults.ts'
import { createTopicDirectory, type KafkaTopicDirectory } from '../../src/kafka/topic-directory.ts'
import { lastingPorts } from '../../stack/ports.ts'
import { brokers, connectionTo } from './broker.ts'

/** Takes connections and says nothing: what a node that is frozen, or cut off behind its own kernel, looks like. */
const silent = net.createServer((socket) => {
  silentSockets.add(socket)
  socket.on('error', () => undefined).resume()
})
const silentSockets = new Set<net.Socket>()
const addressOf = (server: net.Server): string => `127.0.0.1:${(server.address() as AddressInfo).port}`
const listening = (server: net.Server): Promise<void> =>
  new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))

const directories: KafkaTopicDirectory[] = []
const directoryOf = (seeds: readonly string[]): KafkaTopicDirectory => {
  const directory = createTopicDirectory(connectionTo(seeds))
  directories.push(directory)
  return directory
}

beforeAll(() => listening(silent))
afterAll(() => {
  for (const directory of directories) directory.close()
  for (const socket of silentSockets) socket.destroy()
  silent.close()
})

describe('seeds', () => {
  test('one that never answers does not keep the others from being asked', async () => {
    await directoryOf([addressOf(silent), ...brokers()]).ping()
    expect(silentSockets.size).toBeGreaterThan(0)
  })

  test('one that refuses, and one that is nowhere', async () => {
    const [port = 0] = await lastingPorts(1)
    const address = `127.0.0.1:${port}`
    await directoryOf([address, ...brokers()]).ping()
    const nobody = new BrokerLink(connectionTo([address, address]), 5_000).anyNode()
    expect(unavailable('nobody', await nobody.catch((error: unknown) => error)).message).toBe(
      `nobody: ECONNREFUSED at ${address}`,
    )
  })

  test('the one that answered last is the first to be asked, by whoever comes next', async () => {
    const connection = connectionTo([addressOf(silent), ...brokers()])
    const first = createTopicDirectory(connection)
    await first.ping()
    first.close()
    const before = silentSockets.size
    const next = createTopicDirectory(connection)
    await next.ping()
    next.close()
    expect(silentSockets.size).toBe(before)
  })

  test('one that falls silent later is left for another', async () => {
    const [host = '', port = ''] = (brokers()[0] ?? '').split(':')
    let deaf = false
    const passage = net.createServer((client) => {
      const server = net.connect({ host, port: Number(port) })
      client.on('error', () => server.destroy()).on('close', () => server.destroy())
      server.on('error', () => client.destroy())
      client.on('data', (bytes) => void (deaf || server.write(bytes)))
      server.on('data', (bytes) => void (deaf || client.write(bytes)))
    })
    await listening(passage)
    const directory = directoryOf([addressOf(passage), ...brokers()])
    await directory.ping()
    deaf = true
    await directory.ping()
    passage.close()
  })
})
