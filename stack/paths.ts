import { createHash } from 'node:crypto'
import { homedir, platform } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The checkout this file belongs to. */
export const projectRoot: string = fileURLToPath(new URL('..', import.meta.url)).replace(/[/\\]$/, '')

/** Where the local servers of a checkout keep everything: state, data, logs, secrets. */
export const defaultStackDirectory: string = join(projectRoot, '.stack')

/** Folder for downloads that every checkout of one user can share. */
export function sharedCacheDirectory(): string {
  const fromEnvironment = process.env['XDG_CACHE_HOME']
  if (fromEnvironment !== undefined && fromEnvironment !== '')
    return join(fromEnvironment, 'streaming-ingest')
  const base = platform() === 'darwin' ? join(homedir(), 'Library', 'Caches') : join(homedir(), '.cache')
  return join(base, 'streaming-ingest')
}

/** Short name that tells one stack directory from every other on this machine. */
export function directoryKey(directory: string): string {
  return createHash('sha256').update(directory).digest('hex').slice(0, 12)
}
