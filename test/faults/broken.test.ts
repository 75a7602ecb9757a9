import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { brokenFolder, brokenNames, makeBrokenBuild } from '../../bench/faults/brokenBuild.ts'
import { checkerScenarios } from '../../bench/faults/scenarios/checker.ts'
import { projectRoot } from '../../stack/paths.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'streaming-ingest-broken-'))
})
afterAll(() => {
  rmSync(folder, { recursive: true })
})

const changedFiles = (name: string): string[] =>
  [...readFileSync(join(brokenFolder, `${name}.patch`), 'utf8').matchAll(/^\+\+\+ b\/(.+)$/gm)].map(
    ([, file = '']) => file,
  )

describe('builds that are broken on purpose', () => {
  it('have a scenario each', () => {
    expect(checkerScenarios.map(({ name }) => name).sort()).toEqual(
      brokenNames().map((name) => `checker-${name}`),
    )
  })

  it.each(brokenNames())('%s still fits the sources', async (name) => {
    const root = await makeBrokenBuild(folder, name)
    expect(changedFiles(name)).not.toEqual([])
    for (const file of changedFiles(name))
      expect(readFileSync(join(root, file), 'utf8')).not.toBe(readFileSync(join(projectRoot, file), 'utf8'))
  })
})
