import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { writeAtomically } from './state.ts'

/** The servers' addresses as the platform reads them from its environment. */
export interface StackEnvironment {
  readonly KAFKA_BROKERS: string
  /** The application's role. */
  readonly DATABASE_URL: string
  /** The owner, who migrates. */
  readonly DATABASE_ADMIN_URL: string
  readonly TEMPORAL_ADDRESS: string
  /** Empty when nobody knows it (a Temporal server that the environment named without its UI). */
  readonly TEMPORAL_UI_URL: string
}

export const environmentNames = [
  'KAFKA_BROKERS',
  'DATABASE_URL',
  'DATABASE_ADMIN_URL',
  'TEMPORAL_ADDRESS',
  'TEMPORAL_UI_URL',
] as const satisfies readonly (keyof StackEnvironment)[]

/** Dotenv lines that a POSIX shell reads the same way; single quotes, so that nothing in them is expanded. */
export function formatEnvironment(environment: Readonly<Record<string, string>>): string {
  return Object.entries(environment)
    .map(([name, value]) => `${name}=${shellQuote(name, value)}\n`)
    .join('')
}

function shellQuote(name: string, value: string): string {
  // Dotenv has no escape inside single quotes, so no form would mean the same to both readers.
  if (/['\n\r\0]/.test(value))
    throw new Error(`${name} holds a quote or a line break: write it percent-encoded`)
  return `'${value}'`
}

const environmentPath = (directory: string): string => join(directory, 'env')

export function writeEnvironment(directory: string, environment: StackEnvironment): void {
  const lines = Object.fromEntries(environmentNames.map((name) => [name, environment[name]]))
  writeAtomically(environmentPath(directory), formatEnvironment(lines))
}

/** What `up` wrote, or null when the stack is down. */
export function readEnvironment(directory: string): StackEnvironment | null {
  const path = environmentPath(directory)
  if (!existsSync(path)) return null
  const values = parseEnv(readFileSync(path, 'utf8'))
  const entries = environmentNames.map((name) => [name, values[name] ?? ''] as const)
  return Object.fromEntries(entries) as unknown as StackEnvironment
}

export function removeEnvironment(directory: string): void {
  rmSync(environmentPath(directory), { force: true })
}
