import { BrokerSocket } from '../../source/brokerSocket.ts'
import { metadataApi, readMetadataAnswer } from '../../source/requests.ts'
import { api } from '../contract.ts'

const silenceLimitMs = 3_000

/**
 * One key for each of the four partitions of `__consumer_offsets` and of `__transaction_state`: a key belongs to
 * partition `String.hashCode() % 4`, and the hash code of one character is its number.
 */
const keys = ['a', 'b', 'c', 'd']

/**
 * Resolves when the node itself is among the brokers that it tells of, and every group and transaction has a
 * coordinator; those that are coordinated by the node itself must have been read from disk. Asking makes the
 * coordinators' topics on the first time. Rejects with what is missing.
 */
export async function checkNode(id: number, port: number): Promise<void> {
  const socket = await BrokerSocket.open('127.0.0.1', port, silenceLimitMs)
  try {
    const noTopics = Buffer.alloc(4 + 1)
    const metadata = await socket.request(metadataApi.key, metadataApi.version, [noTopics])
    if (!readMetadataAnswer(metadata).brokers.has(id)) throw new Error(`node ${id} has not registered yet`)
    for (const coordinator of [groups, transactions]) {
      for (const key of keys) await checkCoordinator(socket, id, coordinator, key)
    }
  } finally {
    socket.close()
  }
}

/** What can be asked about a group or a transaction without making one. */
interface Coordinator {
  readonly kind: string
  /** Of FindCoordinator. */
  readonly type: number
  /** Error code of the coordinator's answer; unknown keys are none. */
  ask(socket: BrokerSocket, key: string): Promise<number>
}

const groups: Coordinator = {
  kind: 'group',
  type: 0,
  // OffsetFetch v2 for no partitions: topics, error code.
  async ask(socket, key) {
    const answer = await socket.request(api.offsetFetch, 2, [textOf(key), Buffer.alloc(4)])
    return answer.readInt16BE(4)
  },
}

const unknownTransactionalId = 105

const transactions: Coordinator = {
  kind: 'transaction',
  type: 1,
  // DescribeTransactions v0, a flexible version: tags of the header, one id, tags; the answer begins with tags too.
  async ask(socket, key) {
    const body = Buffer.from([0, 2, 1 + key.length, ...Buffer.from(key), 0])
    const answer = await socket.request(65, 0, [body])
    const errorCode = answer.readInt16BE(1 + 4 + 1)
    return errorCode === unknownTransactionalId ? 0 : errorCode
  },
}

async function checkCoordinator(
  socket: BrokerSocket,
  id: number,
  { kind, type, ask }: Coordinator,
  key: string,
): Promise<void> {
  // FindCoordinator v1: throttle time, error code, message, node.
  const found = await socket.request(api.findCoordinator, 1, [textOf(key), Buffer.from([type])])
  const errorCode = found.readInt16BE(4)
  if (errorCode !== 0) throw new Error(`there is no ${kind} coordinator yet (error ${errorCode})`)
  const node = found.readInt32BE(4 + 2 + 2 + Math.max(0, found.readInt16BE(6)))
  if (node !== id) return
  const problem = await ask(socket, key)
  if (problem !== 0) throw new Error(`the ${kind} coordinator is not ready yet (error ${problem})`)
}

function textOf(text: string): Buffer {
  const bytes = Buffer.from(text)
  const head = Buffer.alloc(2)
  head.writeInt16BE(bytes.length)
  return Buffer.concat([head, bytes])
}
