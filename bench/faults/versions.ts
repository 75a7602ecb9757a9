import { createRequire } from 'node:module'
import { Connection } from '@temporalio/client'
import { kafkaVersion } from '../measure/machine.ts'
import { withClient } from '../run/world.ts'

/** What a campaign ran on; null where a server was not used. */
export interface Versions {
  readonly node: string
  readonly kafka: string | null
  readonly postgres: string | null
  readonly temporal: string | null
  readonly kafkajs: string
}

export interface VersionSources {
  readonly classpath?: string | null
  readonly adminUrl?: string | null
  readonly temporalAddress?: string | null
}

/** Asks the servers themselves where they can be asked. */
export async function findVersions({
  classpath = null,
  adminUrl = null,
  temporalAddress = null,
}: VersionSources): Promise<Versions> {
  const { version } = createRequire(import.meta.url)('kafkajs/package.json') as { version: string }
  return {
    node: process.versions.node,
    kafka: classpath === null ? null : kafkaVersion(classpath),
    postgres: adminUrl === null ? null : await postgresVersion(adminUrl),
    temporal: temporalAddress === null ? null : await temporalVersion(temporalAddress),
    kafkajs: version,
  }
}

const postgresVersion = (adminUrl: string): Promise<string> =>
  withClient(adminUrl, async (client) => {
    const { rows } = await client.query<{ server_version: string }>('show server_version')
    return rows[0]?.server_version ?? ''
  })

async function temporalVersion(address: string): Promise<string> {
  const connection = await Connection.connect({ address, connectTimeout: '10 s' })
  try {
    const { serverVersion } = await connection.workflowService.getSystemInfo({})
    return serverVersion ?? ''
  } finally {
    await connection.close()
  }
}
