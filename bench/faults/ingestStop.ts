import { logTail } from '../../stack/process.ts'
import type { RoleProcess } from '../run/roles.ts'
import { formatSeconds } from '../run/say.ts'
import { withClient } from '../run/world.ts'
import { AppendSessions } from './appendSessions.ts'
import { ConsumerGroup } from './consumerGroup.ts'
import type { Stage } from './stage.ts'
import { until } from './waiting.ts'

export interface OrderlyStop {
  readonly tookMs: number
  /** What was not as it should be, in words. */
  readonly problems: readonly string[]
}

/** A connection of an ended process is gone from PostgreSQL's list after a moment. */
const goneLimitMs = 5_000

/**
 * SIGTERM. A process that had to be killed after ten seconds, or gave up by itself shortly before, was not in order. One that
 * was still being loaded, and has not said or done anything, ends at once.
 */
export async function stopInOrder({ roles }: Stage, role: RoleProcess): Promise<OrderlyStop> {
  const tookMs = await roles.stop(role)
  const hadBegun = role.endedBy !== 'SIGTERM' || logTail(role.logFile) !== ''
  if (role.exitCode === 0 || !hadBegun) return { tookMs, problems: [] }
  const how =
    role.endedBy === 'SIGKILL'
      ? 'had to be killed'
      : `ended with ${role.endedBy ?? `exit code ${role.exitCode}`}`
  return { tookMs, problems: [`${role.label} ${how} ${formatSeconds(tookMs / 1000)} after SIGTERM`] }
}

/**
 * SIGTERM for every process that ingests the topic, at once. Whoever comes next has nothing to wait for: no member left in
 * the group, no open append. The group's offsets follow the logs and are never ahead of them; where they stay behind, since
 * the first to leave makes the others join again, whoever comes next brings them up.
 */
export async function stopAllInOrder(
  stage: Stage,
  topic: string,
  processes: readonly RoleProcess[],
): Promise<OrderlyStop> {
  const stops = await Promise.all(processes.map((role) => stopInOrder(stage, role)))
  const problems = stops.flatMap((stop) => stop.problems)
  const tookMs = Math.max(0, ...stops.map((stop) => stop.tookMs))
  return { tookMs, problems: [...problems, ...(await leftBehind(stage, topic))] }
}

async function leftBehind({ world, ownerUrl, roles }: Stage, topic: string): Promise<string[]> {
  const group = new ConsumerGroup(world.admin, world.name)
  const problems: string[] = []
  const members = await until(() => group.members(), roles.waiting('the group to settle', goneLimitMs))
  if (members.length > 0) problems.push(`after SIGTERM ${members.join()} are members of the group still`)
  const offsets = await group.offsets(topic)
  for (const [partition, next] of await nextOffsets(ownerUrl, topic)) {
    const committed = offsets.get(partition) ?? -1
    if (committed > next)
      problems.push(
        `after SIGTERM the group is at offset ${committed} of partition ${partition}, its log at ${next}`,
      )
  }
  const sessions = new AppendSessions(ownerUrl)
  const gone = async (): Promise<true | null> => ((await sessions.count()) === 0 ? true : null)
  await until(gone, roles.waiting('the sessions of ended processes to end', goneLimitMs))
  return problems
}

const nextOffsets = (ownerUrl: string, topic: string): Promise<ReadonlyMap<number, number>> =>
  withClient(ownerUrl, async (client) => {
    const { rows } = await client.query<{ partition: number; next_offset: string }>(
      `select distinct on (partition) partition, next_offset from partition_logs where topic = $1
        order by partition, incarnation desc`,
      [topic],
    )
    return new Map(rows.map(({ partition, next_offset }) => [partition, Number(next_offset)]))
  })
