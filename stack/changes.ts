import { type FSWatcher, watch } from 'node:fs'
import { join } from 'node:path'
import { projectRoot } from './paths.ts'

/** An editor or a checkout writes many files at once: that is one change. */
const settleMs = 200

/** Files whose change means nothing to the running code: editors' temporary and hidden ones. */
const isSource = (name: string): boolean => /\.(ts|mts|js|mjs|cjs|json|sql|html|css)$/.test(name)

/** Calls back with the first changed file, once per burst of changes. Returns how to end it. */
export function watchSources(folders: readonly string[], onChange: (file: string) => void): () => void {
  let timer: NodeJS.Timeout | undefined
  const notice = (file: string): void => {
    if (timer !== undefined) return
    timer = setTimeout(() => {
      timer = undefined
      onChange(file)
    }, settleMs)
  }
  const watchers: FSWatcher[] = folders.map((folder) =>
    watch(join(projectRoot, folder), { recursive: true }, (_event, name) => {
      if (name !== null && isSource(name)) notice(join(folder, name))
    }),
  )
  return () => {
    clearTimeout(timer)
    for (const watcher of watchers) watcher.close()
  }
}
