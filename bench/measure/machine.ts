import { readdirSync } from 'node:fs'
import { cpus, platform, release, totalmem } from 'node:os'
import { delimiter, dirname } from 'node:path'
import { withClient } from '../run/world.ts'

/** What a figure was measured on. */
export interface Machine {
  readonly cores: number
  readonly cpu: string
  readonly memoryGiB: number
  readonly system: string
  readonly node: string
  readonly postgres: string
  /** Null when the broker is not the one whose jars are here. */
  readonly kafka: string | null
}

export async function describeMachine(adminUrl: string, classpath: string | null): Promise<Machine> {
  const postgres = await withClient(adminUrl, async (client) => {
    const { rows } = await client.query<{ server_version: string }>('show server_version')
    return rows[0]?.server_version ?? ''
  })
  return {
    cores: cpus().length,
    cpu: cpus()[0]?.model.trim() ?? '',
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()}`,
    node: process.versions.node,
    postgres,
    kafka: classpath === null ? null : kafkaVersion(classpath),
  }
}

/** Out of the name of the broker's jar. */
export function kafkaVersion(classpath: string): string | null {
  for (const part of classpath.split(delimiter)) {
    if (!part.endsWith('*')) continue
    for (const name of readdirSync(dirname(part))) {
      const found = /^kafka_[\d.]+-([\d.]+)\.jar$/.exec(name)
      if (found !== null) return found[1] ?? null
    }
  }
  return null
}
