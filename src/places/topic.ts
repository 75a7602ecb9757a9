import type { RecordProducer } from '../kafka/record-producer.ts'
import type { NotePlace } from '../ports.ts'
import { originOrConflict } from './held.ts'

/** A Kafka topic with a record for each note: the key is the log's origin. A note whose answer was lost is there twice. */
export const createTopicPlace = (name: string, producer: RecordProducer): NotePlace => ({
  name,
  async place({ note }, { signal }) {
    const origin = originOrConflict(note)
    if (typeof origin !== 'string') return origin
    await producer.send({ key: Buffer.from(origin, 'utf8'), value: Buffer.from(note, 'utf8') }, signal)
    return { outcome: 'held' }
  },
  close: () => producer.close(),
})
