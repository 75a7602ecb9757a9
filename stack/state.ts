import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod'

/** What the servers are called, in the stack and in docker-compose.yml. */
export const serverNames = ['kafka', 'postgres', 'temporal'] as const
export type ServerName = (typeof serverNames)[number]

const processId = z.object({ pid: z.int().positive(), started: z.string() })

const running = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('native'), process: processId, ports: z.array(z.int()) }),
  z.object({ kind: z.literal('docker'), ports: z.array(z.int()) }),
])
export type RunningServer = z.infer<typeof running>

const state = z.object({
  /** True between `up` and `down`: the servers outlive whoever else uses them. */
  kept: z.boolean(),
  /** Processes that use the servers now; the last one to go stops them unless they are kept. */
  users: z.array(processId),
  servers: z.partialRecord(z.enum(serverNames), running),
  /** Where each server listened last: it comes back there when nobody took the place. */
  lastPorts: z.partialRecord(z.enum(serverNames), z.array(z.int())),
})
export type StackState = z.infer<typeof state>

/** State as the last command left it; what is missing or unreadable counts as nothing running. */
export function readState(directory: string): StackState {
  const nothing: StackState = { kept: false, users: [], servers: {}, lastPorts: {} }
  const path = join(directory, 'state.json')
  if (!existsSync(path)) return nothing
  try {
    return state.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch {
    return nothing
  }
}

/** Replaces the state in one step: a reader sees the old or the new one, never half of it. */
export function writeState(directory: string, value: StackState): void {
  writeAtomically(join(directory, 'state.json'), `${JSON.stringify(value, null, 2)}\n`)
}

export function writeAtomically(path: string, content: string): void {
  const temporary = `${path}.${process.pid}.new`
  rmSync(temporary, { force: true })
  writeFileSync(temporary, content, { mode: 0o600, flush: true })
  renameSync(temporary, path)
}

const secrets = z.object({ owner: z.string().min(16), application: z.string().min(16) })
export type Secrets = z.infer<typeof secrets>

/** Passwords of the local database, made once per stack directory and readable by their owner alone. */
export function readSecrets(directory: string): Secrets {
  const path = join(directory, 'secrets.json')
  if (existsSync(path)) return secrets.parse(JSON.parse(readFileSync(path, 'utf8')))
  const made = { owner: randomPassword(), application: randomPassword() }
  mkdirSync(directory, { recursive: true })
  writeAtomically(path, `${JSON.stringify(made)}\n`)
  return made
}

const randomPassword = (): string => randomBytes(24).toString('base64url')
