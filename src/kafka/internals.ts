import type { Kafka } from 'kafkajs'

/**
 * The parts of kafkajs 2.2.4 below its public interface that are used here: a cluster, its brokers, one request at a time.
 * kafkajs is pinned and no longer released, so these do not move.
 */
export interface KafkaProtocol<T> {
  readonly request: {
    readonly apiKey: number
    readonly apiVersion: number
    readonly apiName: string
    readonly encode: () => Promise<{ buf: Buffer; buffer: Buffer }>
  }
  readonly response: {
    readonly decode: (payload: Buffer) => Promise<{ value: T }>
    readonly parse: (decoded: { value: T }) => Promise<T>
  }
  readonly logResponseError: boolean
}

export interface KafkaBroker {
  readonly connectionPool: {
    readonly host: string
    readonly port: number
    send<T>(protocol: KafkaProtocol<T>): Promise<T>
  }
  isConnected(): boolean
  connect(): Promise<void>
  disconnect(): Promise<void>
  findGroupCoordinator(request: {
    groupId: string
    coordinatorType: number
  }): Promise<{ coordinator: { nodeId: number; host: string; port: number } }>
  listOffsets(request: {
    isolationLevel: number
    topics: { topic: string; partitions: { partition: number; timestamp: number }[] }[]
  }): Promise<{ responses: { topic: string; partitions: { partition: number; offset: string }[] }[] }>
  /** Patched: record sets come as bytes. */
  fetch(request: {
    isolationLevel: number
    maxWaitTime: number
    maxBytes: number
    topics: { topic: string; partitions: { partition: number; fetchOffset: string; maxBytes: number }[] }[]
  }): Promise<{
    responses: {
      partitions: {
        partition: number
        highWatermark: string
        abortedTransactions: { producerId: string; firstOffset: string }[] | null
        messages: { buffer: Buffer }
      }[]
    }[]
  }>
  describeConfigs(request: { resources: { type: number; name: string }[] }): Promise<{
    resources: { configEntries: { configName: string; configValue: string | null }[] }[]
  }>
  createTopics(request: {
    topics: {
      topic: string
      numPartitions: number
      replicationFactor: number
      configEntries: { name: string; value: string }[]
    }[]
    timeout: number
  }): Promise<unknown>
  initProducerId(request: {
    transactionalId: string
    transactionTimeout: number
  }): Promise<{ producerId: string; producerEpoch: number }>
  addPartitionsToTxn(request: {
    transactionalId: string
    producerId: string
    producerEpoch: number
    topics: { topic: string; partitions: number[] }[]
  }): Promise<unknown>
  addOffsetsToTxn(request: {
    transactionalId: string
    producerId: string
    producerEpoch: number
    groupId: string
  }): Promise<unknown>
  txnOffsetCommit(request: {
    transactionalId: string
    groupId: string
    producerId: string
    producerEpoch: number
    topics: { topic: string; partitions: { partition: number; offset: string; metadata: string }[] }[]
  }): Promise<unknown>
  endTxn(request: {
    transactionalId: string
    producerId: string
    producerEpoch: number
    transactionResult: boolean
  }): Promise<unknown>
}

export interface KafkaCluster {
  readonly rootLogger: unknown
  readonly connectionPoolBuilder: { build(at: { host: string; port: number }): Promise<unknown> }
  readonly brokerPool: {
    createBroker(options: {
      logger: unknown
      /** Null: it asks the node when it connects. */
      versions: unknown
      connectionPool: unknown
      nodeId: number | null
    }): KafkaBroker
  }
  findTopicPartitionMetadata(topic: string): readonly unknown[]
}

type CreateCluster = (options: { metadataMaxAge: number; allowAutoTopicCreation: boolean }) => KafkaCluster

/** A cluster of a kafkajs client; kafkajs keeps its maker under a private symbol. */
export function createCluster(kafka: Kafka): KafkaCluster {
  const symbol = Object.getOwnPropertySymbols(kafka).find(
    (candidate) => candidate.description === 'private:Kafka:createCluster',
  )
  if (symbol === undefined) throw new Error('kafkajs is not the version that this was written for')
  const create = (kafka as unknown as Record<symbol, CreateCluster | undefined>)[symbol]
  if (create === undefined) throw new Error('kafkajs is not the version that this was written for')
  return create({ metadataMaxAge: 300_000, allowAutoTopicCreation: false })
}
