/** `pnpm db:migrate`: exit code 0 when the schema is this version's, 1 on a failure, 2 when the environment is wrong. */
import { ServiceError } from '../errors.ts'
import { migrate } from './migrate.ts'

async function main(environment: NodeJS.ProcessEnv): Promise<number> {
  const adminUrl = environment['DATABASE_ADMIN_URL']
  if (adminUrl === undefined || adminUrl === '') {
    console.error('DATABASE_ADMIN_URL is not set: give the URL of a role that may create tables and roles')
    return 2
  }
  const appUrl = environment['DATABASE_URL']
  try {
    const { database, applied } = await migrate({
      adminUrl,
      ...(appUrl === undefined || appUrl === '' ? {} : { appUrl }),
    })
    for (const tag of applied) console.log(`applied ${tag} to ${database}`)
    console.log(`${database} has the schema of this version`)
    return 0
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error
    console.error(`${error.message}: ${causeOf(error)}`)
    return error.code === 'BAD_REQUEST' ? 2 : 1
  }
}

/** The innermost message: what the server or the network said. It holds no parameters and no URL. */
function causeOf(error: Error): string {
  let innermost = error
  while (innermost.cause instanceof Error) innermost = innermost.cause
  if (innermost instanceof AggregateError)
    return innermost.errors.map((each: Error) => each.message).join('; ')
  return innermost === error ? 'nothing was changed' : innermost.message
}

process.exitCode = await main(process.env)
