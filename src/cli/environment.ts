/** Where the CLI finds the API and how it writes; read from the environment by the entry point only. */
export interface CliEnvironment {
  /** Without a slash at its end. */
  readonly apiUrl: string
  /** NO_COLOR (no-color.org) not given. */
  readonly color: boolean
}

/** The variables of `.env.example` that only the CLI reads. */
export const cliVariableNames: readonly string[] = ['API_URL']

export type CliEnvironmentResult =
  | { readonly ok: true; readonly environment: CliEnvironment }
  | { readonly ok: false; readonly problem: string }

export function readCliEnvironment(env: Readonly<Record<string, string | undefined>>): CliEnvironmentResult {
  const given = env['API_URL']?.trim() || 'http://localhost:8080'
  const url = URL.parse(given)
  if (url === null || !['http:', 'https:'].includes(url.protocol) || url.username !== '' || url.search !== '')
    return {
      ok: false,
      problem: 'API_URL must be the address of the admin API, such as http://localhost:8080',
    }
  const color = (env['NO_COLOR'] ?? '') === ''
  return { ok: true, environment: { apiUrl: url.href.replace(/\/+$/, ''), color } }
}
