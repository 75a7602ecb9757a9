import type { Scenario } from '../contract.ts'
import { absence, inflictAll } from '../ingestFaults.ts'
import { Stage } from '../stage.ts'

export const ingestKafkaKill: Scenario = {
  name: 'ingest-kafka-kill',
  group: 'ingest',
  title: 'kill -9 and restart of the only Kafka node under ingest',
  rounds: { full: 8, short: 0 },
  run: (context) =>
    Stage.with(context, 'ingest-kafka-kill', {}, (stage) => {
      const [node] = stage.kafka.nodes
      if (node === undefined) throw new Error('there is no node')
      return inflictAll(stage, {
        processes: 2,
        calmMs: 2_000,
        faults: [
          absence('kill -9', node, () => node.kill(), 4_000),
          absence('kill -9 and start at once', node, () => node.kill(), 0),
          absence('stop and start', node, () => node.stop(), 4_000),
        ],
      })
    }),
}
