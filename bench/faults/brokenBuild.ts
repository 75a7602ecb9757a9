import { cpSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { runCommand } from '../../stack/command.ts'
import { projectRoot } from '../../stack/paths.ts'
import { serverEnvironment } from '../../stack/process.ts'

export const brokenFolder = join(import.meta.dirname, 'broken')

/** What roles are run from. */
const copied = ['src', 'workflows', 'activities', 'drizzle', 'package.json'] as const

/** Names of the patches, without their endings. */
export const brokenNames = (): string[] =>
  readdirSync(brokenFolder)
    .filter((file) => file.endsWith('.patch'))
    .map((file) => file.slice(0, -'.patch'.length))
    .sort()

/**
 * Copies this checkout's sources into `folder/<name>` and applies the patch of that name; returns the copy, from which
 * roles can be started. @throws when the patch does not fit the sources
 */
export async function makeBrokenBuild(folder: string, name: string): Promise<string> {
  const root = join(folder, name)
  rmSync(root, { recursive: true, force: true })
  mkdirSync(root, { recursive: true })
  for (const entry of copied) cpSync(join(projectRoot, entry), join(root, entry), { recursive: true })
  linkModules(root)
  const patch = join(brokenFolder, `${name}.patch`)
  // The copy is no repository, and must not be taken for a part of the one that it may lie in.
  const env = { ...serverEnvironment(), GIT_CEILING_DIRECTORIES: dirname(root) }
  const applied = await runCommand('git', ['apply', '--whitespace=nowarn', '-C1', patch], { cwd: root, env })
  if (!applied.ok) throw new Error(`${name}.patch does not fit the sources any more:\n${applied.output}`)
  return root
}

/** One link per package, so that what is cached below node_modules goes away with the copy. */
function linkModules(root: string): void {
  const from = join(projectRoot, 'node_modules')
  const to = join(root, 'node_modules')
  mkdirSync(to)
  for (const name of readdirSync(from)) if (name !== '.cache') symlinkSync(join(from, name), join(to, name))
}
