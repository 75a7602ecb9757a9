import kafkajs, { type Producer } from 'kafkajs'
import { ServiceError } from '../errors.ts'
import type { KafkaClient, KafkaConnection } from './connection.ts'
import { within } from './deadline.ts'
import { faultFrom, KafkaFault } from './faults.ts'

const sendLimitMs = 20_000
const requestTimeoutMs = 10_000
const allReplicas = -1

/** Writes single records, now and then. */
export interface RecordProducer {
  /** Resolves when all in-sync replicas have it. Once in the topic, or more often when an answer was lost. */
  send(record: { readonly key: Buffer; readonly value: Buffer }, signal: AbortSignal): Promise<void>
  close(): void
}

/** Connects when it is first used, and anew after a failure. Throws PLACE_UNAVAILABLE. The topic must be there. */
export function createRecordProducer(connection: KafkaConnection, topic: string): RecordProducer {
  let open: Opened | null = null
  /** Others may be sending over it: it ends with the last of them. */
  const leave = (used: Opened): void => {
    used.users--
    if (used !== open && used.users === 0) used.client.destroy()
  }
  const close = (): void => {
    open?.client.destroy()
    open = null
  }
  return {
    async send({ key, value }, signal) {
      open ??= openProducer(connection)
      const used = open
      used.users++
      try {
        await within(sendLimitMs, signal, async () => {
          const answers = await (await used.producer).send({
            topic,
            acks: allReplicas,
            timeout: requestTimeoutMs,
            messages: [{ key, value }],
          })
          // `send` can resolve without having written: the answer must name the one partition, and an offset in it.
          const [answer] = answers
          const isWritten =
            answer?.topicName === topic && answer.errorCode === 0 && /^\d+$/.test(answer.baseOffset ?? '')
          if (answers.length !== 1 || !isWritten)
            throw new KafkaFault('the answer does not say that it was written')
        })
      } catch (error) {
        if (open === used) open = null
        const fault = faultFrom(error)
        const detail = `writing to the topic ${topic} failed: ${fault.message}`
        throw new ServiceError('PLACE_UNAVAILABLE', detail, { cause: fault })
      } finally {
        leave(used)
      }
    },
    close,
  }
}

interface Opened {
  readonly client: KafkaClient
  readonly producer: Promise<Producer>
  /** Sends that are under way. */
  users: number
}

function openProducer(connection: KafkaConnection): Opened {
  const client = connection.openClient({ requestTimeoutMs, retries: 2 })
  const connecting = async (): Promise<Producer> => {
    const producer = client.kafka.producer({
      allowAutoTopicCreation: false,
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    })
    await producer.connect()
    return producer
  }
  const producer = connecting()
  // Whoever sends is told; until then nobody waits for it.
  producer.catch(() => undefined)
  return { client, producer, users: 0 }
}
