import { readdirSync, readFileSync, writeFileSync } from 'node:fs'

/** Linux reports times in hundredths of a second, whatever the kernel's own tick (proc(5), USER_HZ). */
const ticksPerSecond = 100

interface ProcessTimes {
  readonly parent: number
  /** User and system time of all threads, in seconds. */
  readonly own: number
  /** The same of children that have ended and were waited for. */
  readonly reaped: number
}

/** Out of /proc/<pid>/stat; null when there is no such process or no /proc. */
export function parseStat(stat: string): ProcessTimes {
  // The command's name, in parentheses, may hold anything; what follows the last one is regular.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const seconds = (first: number): number =>
    (Number(fields[first]) + Number(fields[first + 1])) / ticksPerSecond
  return { parent: Number(fields[1]), own: seconds(11), reaped: seconds(13) }
}

function timesOf(pid: number): ProcessTimes | null {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return null
  }
}

/** CPU seconds of a process and of all its children, ended ones included; null when it cannot be told. */
export function cpuSeconds(pid: number | undefined): number | null {
  const times = pid === undefined ? null : timesOf(pid)
  if (times === null) return null
  let seconds = times.own + times.reaped
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const child = timesOf(Number(name))
    if (child !== null && child.parent === pid) seconds += child.own + child.reaped
  }
  return seconds
}

/** Forgets the peak so far (proc(5), clear_refs), so that a start does not count for what comes after it. */
export function resetPeakMemory(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5')
  } catch {
    // Not Linux, or not ours: the peak is then the one since the start.
  }
}

/** The most memory that a process has held at once, in bytes; null when it cannot be told. */
export function peakMemory(pid: number): number | null {
  try {
    const found = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
    return found === null ? null : Number(found[1]) * 1024
  } catch {
    return null
  }
}

/** CPU time in microseconds per event. */
export type CpuPerEvent = Readonly<Record<string, number | null>>

/** Starts measuring these processes; the returned function says what each used per event since. */
export function measureCpu(
  pids: Readonly<Record<string, number | undefined>>,
): (events: number) => CpuPerEvent {
  const before = Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, cpuSeconds(pid)]))
  return (events) =>
    Object.fromEntries(
      Object.entries(pids).map(([name, pid]) => {
        const [first, last] = [before[name] ?? null, cpuSeconds(pid)]
        return [name, first === null || last === null ? null : ((last - first) * 1e6) / events]
      }),
    )
}
