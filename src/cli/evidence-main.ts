/** Entry of `pnpm evidence`: what can be checked and made with no service and no network, and without the environment. */
import { CommanderError } from 'commander'
import { createEvidenceProgram } from './evidence/program.ts'
import { CliFailure } from './failure.ts'
import { createTerminal } from './terminal.ts'

async function main(): Promise<number> {
  const terminal = createTerminal(process, { json: process.argv.includes('--json'), color: false })
  try {
    await createEvidenceProgram(terminal).parseAsync(process.argv)
    return 0
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0
      terminal.result({ error: { code: 'BAD_REQUEST', detail: error.message.replace(/^error: /, '') } })
      return 2
    }
    if (!(error instanceof CliFailure)) throw error
    terminal.complain(error.message)
    terminal.result({ error: { code: error.code, detail: error.message } })
    return error.exitCode
  }
}

for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // Whoever read has gone, as `head` does.
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })

process.exitCode = await main()
