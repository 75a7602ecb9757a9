import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { BrokerSocket } from '../../bench/source/brokerSocket.ts'

const silenceLimitMs = 200

it('gives a broker up that does not answer, also when nothing was asked of it for longer before', async () => {
  const server = net.createServer((socket) => socket.on('error', () => undefined).resume())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const socket = await BrokerSocket.open('127.0.0.1', port, silenceLimitMs)
  await sleep(3 * silenceLimitMs)
  expect(socket.isOpen).toBe(true)
  await expect(socket.request(3, 5, [])).rejects.toThrow('the broker does not answer')
  server.close()
})
