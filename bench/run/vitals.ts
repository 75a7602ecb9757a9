import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** What a process holds at a moment (proc(5)). */
export interface Vitals {
  /** Resident memory. */
  readonly bytes: number
  readonly descriptors: number
  /** Of the descriptors. */
  readonly sockets: number
}

/** Null when there is no such process any more. */
export function vitalsOf(pid: number): Vitals | null {
  try {
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    if (kilobytes === undefined) return null
    const targets = readdirSync(`/proc/${pid}/fd`).map((name) => targetOf(`/proc/${pid}/fd/${name}`))
    const open = targets.filter((target) => target !== null)
    const sockets = open.filter((target) => target.startsWith('socket:'))
    return { bytes: Number(kilobytes) * 1024, descriptors: open.length, sockets: sockets.length }
  } catch (error) {
    if (isGone(error)) return null
    throw error
  }
}

/** Null for a descriptor that was closed since it was listed. */
function targetOf(path: string): string | null {
  try {
    return readlinkSync(path)
  } catch (error) {
    if (isGone(error)) return null
    throw error
  }
}

const isGone = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH')

export const formatBytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`
