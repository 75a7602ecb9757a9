import { readFileSync } from 'node:fs'

/** The most memory that a process has had in use, bytes (VmHWM of proc(5)); null where the system does not say. */
export function peakMemoryOf(pid: number): number | null {
  if (process.platform !== 'linux') return null
  const match = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return match === null ? null : Number(match[1]) * 1024
}
