/** Run by the build: `node dist/src/replay/bundle.js` writes dist/workflow-bundle.js. */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { builtBundle, bundleWorkflows } from './workflowBundle.ts'

const workflows = fileURLToPath(new URL('../../workflows/index.js', import.meta.url))
writeFileSync(builtBundle, await bundleWorkflows(workflows))
