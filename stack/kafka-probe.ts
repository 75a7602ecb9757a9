import { connect } from 'node:net'
import { probeLimitMs } from './command.ts'

/** Metadata v1 for no topics: brokers alone. Length, key 3, version 1, correlation id 1, null client id, empty array. */
const request = Buffer.from('0000000e00030001' + '00000001' + 'ffff' + '00000000', 'hex')

/**
 * How many brokers the cluster says it has: 0 until a starting broker has registered with its controller.
 * Rejects when nobody answers within ten seconds. (https://kafka.apache.org/protocol.html, Metadata)
 */
export function countBrokers(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port })
    let received = Buffer.alloc(0)
    socket.setTimeout(probeLimitMs)
    socket.once('connect', () => socket.write(request))
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
      // Length, correlation id, then the length of the brokers' array.
      if (received.length < 12) return
      socket.destroy()
      resolve(received.readInt32BE(8))
    })
    socket.once('timeout', () => socket.destroy(new Error(`no answer from ${host}:${port}`)))
    socket.once('error', reject)
    socket.once('close', () => reject(new Error(`${host}:${port} closed the connection`)))
  })
}
