/** The code of the workflows as a worker takes it: bundled once by the build, on the spot when run from source. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundleWorkflowCode } from '@temporalio/worker'
import type { Logger } from '../logger.ts'

/** Written by `bundle.ts` beside the compiled sources. */
export const builtBundle = fileURLToPath(new URL('../../workflow-bundle.js', import.meta.url))

const runsFromSource = import.meta.url.endsWith('.ts')
const root = fileURLToPath(new URL('../../', import.meta.url))

export type WorkflowBundle = { readonly codePath: string } | { readonly code: string }

/**
 * The bundle that belongs to these sources. From source it takes some seconds the first time and is kept below
 * node_modules/.cache until a workflow or something that workflows import changes.
 */
export async function loadWorkflowBundle(logger: Logger): Promise<WorkflowBundle> {
  if (!runsFromSource) return { codePath: builtBundle }
  const folder = join(root, 'node_modules', '.cache', 'workflow-bundle')
  const codePath = join(folder, `${sourceHash()}.js`)
  if (existsSync(codePath)) return { codePath }
  logger.info('bundling the workflows')
  const code = await bundleWorkflows(join(root, 'workflows', 'index.ts'))
  try {
    mkdirSync(folder, { recursive: true })
    const unfinished = `${codePath}.${process.pid}`
    writeFileSync(unfinished, code)
    renameSync(unfinished, codePath)
    return { codePath }
  } catch (error) {
    logger.warn('the workflow bundle could not be kept', { error })
    return { code }
  }
}

export async function bundleWorkflows(workflowsPath: string): Promise<string> {
  const { code } = await bundleWorkflowCode({ workflowsPath, logger: silent })
  return code
}

function sourceHash(): string {
  const hash = createHash('sha256')
  const sdk = join(root, 'node_modules', '@temporalio', 'workflow', 'package.json')
  const files = ['workflows', join('src', 'domain')].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name)),
  )
  for (const file of [...files.sort(), join(root, 'src', 'errors.ts'), sdk])
    hash.update(file).update('\0').update(readFileSync(file)).update('\0')
  return hash.digest('hex').slice(0, 32)
}

const ignore = (): void => undefined
const silent = {
  log: ignore,
  trace: ignore,
  debug: ignore,
  info: ignore,
  warn: console.warn,
  error: console.error,
}
