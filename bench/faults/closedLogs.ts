import type { LogView } from '../../src/domain/logView.ts'
import type { ErrorCode } from '../../src/errors.ts'
import type { RoleProcess } from '../run/roles.ts'
import { runLogCommand } from './operatorCli.ts'
import { readinessOf } from './roleStatus.ts'
import { until, type Waiting } from './waiting.ts'

/**
 * Resolves when a process says that it appends nothing more to the logs of these partitions, for this reason, and names
 * the command that helps.
 */
export async function untilClosed(
  role: RoleProcess,
  code: ErrorCode,
  { topic, partitions }: { readonly topic: string; readonly partitions: readonly number[] },
  waiting: Waiting,
): Promise<void> {
  let said = ''
  await until(
    async () => {
      const readiness = await readinessOf(role)
      said = JSON.stringify(readiness?.checks)
      const isNamed = (partition: number): boolean =>
        readiness?.checks['ingest']?.[`${topic}/${partition}`] ===
        `${code}: pnpm log open-incarnation --topic ${topic} --partition ${partition}`
      return partitions.every(isNamed) && readiness?.ready === false ? true : null
    },
    { ...waiting, explain: () => `it says ${said}\n${waiting.explain?.() ?? ''}` },
  )
}

/** `pnpm log list`: all incarnations of the topic's logs. */
export async function listLogs(apiUrl: string, topic: string): Promise<readonly LogView[]> {
  const stdout = await runLogCommand(apiUrl, ['list', '--topic', topic, '--json'])
  return (JSON.parse(stdout) as { items: LogView[] }).items
}

/** `pnpm log open-incarnation`, of one partition or of all. */
export function openIncarnation(apiUrl: string, topic: string, partition: number | null): Promise<string> {
  const which = partition === null ? ['--all'] : ['--partition', String(partition)]
  return runLogCommand(apiUrl, ['open-incarnation', '--topic', topic, ...which, '--reason', 'fault campaign'])
}
