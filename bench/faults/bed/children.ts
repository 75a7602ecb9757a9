import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { identify, type ProcessId } from '../../../stack/process.ts'

/** The processes that this one has started and that still run. */
export function childrenOf(pid: number): ProcessId[] {
  return parents()
    .filter(({ parent }) => parent === pid)
    .flatMap(({ pid: child }) => identify(child) ?? [])
}

interface Parentage {
  readonly pid: number
  readonly parent: number
}

function parents(): Parentage[] {
  if (process.platform === 'linux') {
    return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? parentOnLinux(Number(name)) : []))
  }
  const listed = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8', timeout: 10_000 })
  return listed.split('\n').map((line) => {
    const [pid, parent] = line.trim().split(/\s+/)
    return { pid: Number(pid), parent: Number(parent) }
  })
}

/** Empty for a process that has ended meanwhile. */
function parentOnLinux(pid: number): Parentage[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The command name, in parentheses, may hold anything (proc(5)); state and parent follow.
    return [{ pid, parent: Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) }]
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return []
    throw error
  }
}
