/** Entry of `pnpm replay` and, with `log` as the first word, of `pnpm log`: reads the environment and the command line, and decides how the process exits. */
import { existsSync } from 'node:fs'
import { CommanderError } from 'commander'
import { createApiClient } from './apiClient.ts'
import { readCliEnvironment } from './environment.ts'
import { CliFailure } from './failure.ts'
import { createLogProgram } from './logProgram.ts'
import { abortOnSignals, endWithReaders, systemUser } from './process.ts'
import { createProgram } from './program.ts'
import { createTerminal } from './terminal.ts'

async function main(): Promise<number> {
  if (existsSync('.env')) process.loadEnvFile('.env')
  const json = process.argv.includes('--json')
  const read = readCliEnvironment(process.env)
  const color = read.ok && read.environment.color
  const terminal = createTerminal(process, { json, color })
  // The first one stops watching.
  const detach = abortOnSignals()
  let exitCode = 0
  try {
    if (!read.ok) throw new CliFailure(2, 'BAD_REQUEST', read.problem)
    const { apiUrl } = read.environment
    const api = createApiClient({ apiUrl, requestedBy: systemUser(), signal: detach })
    const exit = (code: number) => {
      exitCode = code
    }
    const [node = '', script = '', ...words] = process.argv
    const ofLogs = words[0] === 'log'
    const program = (ofLogs ? createLogProgram : createProgram)({ api, terminal, detach, exit })
    await program.parseAsync([node, script, ...words.slice(ofLogs ? 1 : 0)])
    return exitCode
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0
      terminal.result({ error: { code: 'BAD_REQUEST', detail: error.message.replace(/^error: /, '') } })
      return 2
    }
    if (!(error instanceof CliFailure)) throw error
    const { code, fields, message } = error
    terminal.complain(message)
    terminal.result({ error: { code, detail: message, ...(fields.length > 0 && { errors: fields }) } })
    return error.exitCode
  }
}

endWithReaders()
process.exitCode = await main()
