import { BrokerSocket } from '../../source/brokerSocket.ts'
import { metadataApi, readMetadataAnswer } from '../../source/requests.ts'
import { api } from '../contract.ts'

const silenceLimitMs = 3_000
/** The oldest version that can ask for a coordinator of transactions. */
const findCoordinatorVersion = 1
const coordinators = { group: 0, transaction: 1 } as const

/**
 * Resolves when the node itself is among the brokers that it tells of, and when it names coordinators for groups and
 * for transactions, which makes their topics on the first time. Rejects with what is missing.
 */
export async function checkNode(id: number, port: number): Promise<void> {
  const socket = await BrokerSocket.open('127.0.0.1', port, silenceLimitMs)
  try {
    const noTopics = Buffer.alloc(4 + 1)
    const metadata = await socket.request(metadataApi.key, metadataApi.version, [noTopics])
    if (!readMetadataAnswer(metadata).brokers.has(id)) throw new Error(`node ${id} has not registered yet`)
    for (const [kind, type] of Object.entries(coordinators)) {
      const answer = await socket.request(api.findCoordinator, findCoordinatorVersion, [
        findCoordinatorBody('bed', type),
      ])
      // Behind the throttle time.
      const errorCode = answer.readInt16BE(4)
      if (errorCode !== 0) throw new Error(`there is no ${kind} coordinator yet (error ${errorCode})`)
    }
  } finally {
    socket.close()
  }
}

function findCoordinatorBody(key: string, type: number): Buffer {
  const name = Buffer.from(key)
  const body = Buffer.alloc(2 + name.length + 1)
  const at = body.writeInt16BE(name.length, 0)
  name.copy(body, at)
  body[at + name.length] = type
  return body
}
