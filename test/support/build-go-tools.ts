/** Builds the servers of the tests that others wrote in Go, ahead of the tests: it takes all cores, for minutes, once. */
import { buildGoTool, goToolMissing } from './goTools.ts'
import { versitygw } from './s3.ts'
import { litewitness } from './witness.ts'

for (const tool of [versitygw, litewitness]) {
  const missing = goToolMissing(tool)
  if (missing === null) process.stdout.write(`${tool.name}: ${await buildGoTool(tool)}\n`)
  else process.stdout.write(`${tool.name}: ${missing}; its tests are skipped\n`)
}
