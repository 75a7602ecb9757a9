/** Entry of `pnpm archive`: its commands over the service at API_URL, and its tools over the environment's addresses. */
import { existsSync } from 'node:fs'
import { CommanderError } from 'commander'
import { createApiClient } from '../cli/apiClient.ts'
import { createArchiveProgram } from '../cli/archive/program.ts'
import type { ArchiveTools } from '../cli/archive/tools.ts'
import { readCliEnvironment } from '../cli/environment.ts'
import { CliFailure, exitCodeOf, interruptedFailure } from '../cli/failure.ts'
import { abortOnSignals, endWithReaders, systemUser } from '../cli/process.ts'
import { createTerminal } from '../cli/terminal.ts'
import { httpStatusOf, ServiceError } from '../errors.ts'

const interrupted = abortOnSignals()

async function main(): Promise<number> {
  const terminal = createTerminal(process, { json: process.argv.includes('--json'), color: false })
  if (existsSync('.env')) process.loadEnvFile('.env')
  try {
    await createArchiveProgram({ terminal, connect, tools }).parseAsync(process.argv)
    return 0
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0
      terminal.result({ error: { code: 'BAD_REQUEST', detail: error.message.replace(/^error: /, '') } })
      return 2
    }
    const failure = failureOf(error)
    terminal.complain(failure.message)
    const { code, fields, message } = failure
    if (code !== 'INCOMPLETE')
      terminal.result({ error: { code, detail: message, ...(fields.length > 0 && { errors: fields }) } })
    return failure.exitCode
  }
}

function failureOf(error: unknown): CliFailure {
  if (error instanceof CliFailure) return error
  if (interrupted.aborted) return interruptedFailure()
  if (!(error instanceof ServiceError)) throw error
  const exitCode = httpStatusOf(error.code) >= 500 ? 1 : exitCodeOf(error.code)
  return new CliFailure(exitCode, error.code, `${error.code}: ${error.message}`)
}

function connect() {
  const read = readCliEnvironment(process.env)
  if (!read.ok) throw new CliFailure(2, 'BAD_REQUEST', read.problem)
  const { apiUrl } = read.environment
  return createApiClient({ apiUrl, requestedBy: systemUser(), signal: interrupted })
}

/**
 * The application's own address is not needed here, and need not be given. Loaded when a command asks for it: most ask the
 * service.
 */
async function tools(): Promise<ArchiveTools> {
  const [{ readConfig }, { createArchiveTools, NO_DATABASE }] = await Promise.all([
    import('../config.ts'),
    import('./tools.ts'),
  ])
  const DATABASE_URL = process.env['DATABASE_URL'] || NO_DATABASE
  const read = readConfig({ ...process.env, DATABASE_URL })
  if (!read.ok) throw new CliFailure(2, 'BAD_REQUEST', read.problems.join('; '))
  return createArchiveTools({
    config: read.config,
    requestedBy: systemUser(),
    signal: interrupted,
  })
}

endWithReaders()
process.exitCode = await main()
