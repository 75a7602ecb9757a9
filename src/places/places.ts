import type { NotePlaceConfig } from '../domain/evidence/notePlace.ts'
import type { KafkaConnection } from '../kafka/connection.ts'
import { createRecordProducer } from '../kafka/record-producer.ts'
import type { NotePlace } from '../ports.ts'
import { createObjectStore, type S3Credentials } from '../s3/objectStore.ts'
import { createBucketPlace } from './bucket.ts'
import { createFolderPlace } from './folder.ts'
import { createTopicPlace } from './topic.ts'
import { createWitnessPlace, type WitnessPlaceOptions } from './witness.ts'

export interface PlaceClients {
  readonly kafka: KafkaConnection
  readonly s3Credentials: S3Credentials | null
  readonly log: WitnessPlaceOptions['log']
}

/** The places as they are configured; none is connected to before it is used. */
export const createNotePlaces = (
  configs: readonly NotePlaceConfig[],
  clients: PlaceClients,
): readonly NotePlace[] => configs.map((config) => createNotePlace(config, clients))

function createNotePlace(config: NotePlaceConfig, { kafka, s3Credentials, log }: PlaceClients): NotePlace {
  const { name } = config
  switch (config.kind) {
    case 'folder':
      return createFolderPlace(name, config.path)
    case 's3':
      return createBucketPlace(name, createObjectStore(config.place, s3Credentials))
    case 'kafka':
      return createTopicPlace(name, createRecordProducer(kafka, config.topic))
    case 'witness':
      return createWitnessPlace({ name, url: config.url, key: config.key, log })
    default:
      return config satisfies never
  }
}
