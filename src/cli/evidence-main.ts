/**
 * Entry of `pnpm evidence`. What can be checked and made with no service and no network does not look at the environment
 * either; the commands that fetch evidence read API_URL.
 */
import { existsSync } from 'node:fs'
import { CommanderError } from 'commander'
import type { AuditReport } from '../domain/evidence/auditReport.ts'
import { type ApiClient, createApiClient } from './apiClient.ts'
import { readCliEnvironment } from './environment.ts'
import type { AuditCall } from './evidence/audit.ts'
import { createEvidenceProgram } from './evidence/program.ts'
import { CliFailure, interruptedFailure } from './failure.ts'
import { abortOnSignals, endWithReaders, systemUser } from './process.ts'
import { createTerminal } from './terminal.ts'

async function main(): Promise<number> {
  const terminal = createTerminal(process, { json: process.argv.includes('--json'), color: false })
  try {
    await createEvidenceProgram({ terminal, connect, audit }).parseAsync(process.argv)
    return 0
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0
      terminal.result({ error: { code: 'BAD_REQUEST', detail: error.message.replace(/^error: /, '') } })
      return 2
    }
    if (!(error instanceof CliFailure)) throw error
    terminal.complain(error.message)
    const { code, fields, message } = error
    terminal.result({ error: { code, detail: message, ...(fields.length > 0 && { errors: fields }) } })
    return error.exitCode
  }
}

/** Only this command loads what reads databases, buckets and topics. */
async function audit({ databaseUrl, ...call }: AuditCall): Promise<AuditReport> {
  if (existsSync('.env')) process.loadEnvFile('.env')
  const { readConfig } = await import('../config.ts')
  const url = databaseUrl ?? process.env['DATABASE_URL'] ?? ''
  if (url === '')
    throw new CliFailure(2, 'BAD_REQUEST', '--database-url: is needed when DATABASE_URL is not set')
  // The places of the service are not looked at: the notes are where the command says.
  const read = readConfig({ ...process.env, NOTE_PLACES: '', DATABASE_URL: url })
  if (!read.ok) throw new CliFailure(2, 'BAD_REQUEST', read.problems.join('; '))
  const signal = abortOnSignals()
  const { kafka, places } = read.config
  const { runAudit } = await import('../roles/audit.ts')
  try {
    const settings = { s3Credentials: places.s3Credentials, kafka }
    return await runAudit({ ...call, databaseUrl: url, signal }, settings)
  } catch (error) {
    if (signal.aborted) throw interruptedFailure()
    throw error
  }
}

function connect(): ApiClient {
  if (existsSync('.env')) process.loadEnvFile('.env')
  const read = readCliEnvironment(process.env)
  if (!read.ok) throw new CliFailure(2, 'BAD_REQUEST', read.problem)
  const { apiUrl } = read.environment
  return createApiClient({ apiUrl, requestedBy: systemUser(), signal: abortOnSignals() })
}

endWithReaders()
process.exitCode = await main()
