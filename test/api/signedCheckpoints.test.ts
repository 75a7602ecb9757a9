import { randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import { storeCheckpoint } from '../../activities/storeCheckpoint.ts'
import type { CheckpointView } from '../../src/api/operations.ts'
import { formatCheckpoint } from '../../src/cli/format.ts'
import { openCheckpoint } from '../../src/domain/evidence/checkpointNote.ts'
import { cosign, cosignaturesOf, witnessKey } from '../../src/domain/evidence/cosignature.ts'
import { keyPairOf } from '../../src/domain/evidence/ed25519.ts'
import { formatNote, parseNote } from '../../src/domain/evidence/note.ts'
import type { SigningKey } from '../../src/domain/evidence/noteKeys.ts'
import { leafIndex } from '../../src/domain/model.ts'
import { createEvidenceOperations } from '../../src/evidence/operations.ts'
import { usePlatform } from '../activities/fixture.ts'
import { taken, testKey } from '../domain/evidence/keys.ts'
import { withClient } from '../support/database.ts'
import { type Edge, startEdge } from './edge.ts'

const { broker, platform, fill } = usePlatform('notes')
const [first, second] = [1, 2].map((number) => testKey('example.com/ingest', number)) as [
  SigningKey,
  SigningKey,
]

const checkpointWith = async (
  topic: string,
  keys: readonly SigningKey[],
  partition?: number,
): Promise<string> => {
  const request = { topic, ...(partition !== undefined && { partition }) }
  const deps = { ...platform.deps, signing: { keys, overlapMs: 3_600_000 } }
  return (await storeCheckpoint(deps, { checkpointId: randomUUID(), request, requestedBy: 'test' })).id
}

function theEdge(): Promise<Edge> {
  const { queries, checkpoints, signingKeys, notes } = platform.store
  return startEdge({
    operations: createEvidenceOperations({ ...platform.store, instanceName: 'unsigned' }),
    queries: {
      ...{ ...queries, ...checkpoints, ...signingKeys, ...notes },
      unplacedNotes: (id) => notes.unplacedNotes(id, ['bucket', 'folder', 'witness']),
    },
  })
}

it('hands out the notes as they are, and the keys to check them with', async () => {
  const topic = await broker.makeTopic(2)
  for (const partition of [0, 1]) await fill({ topic, partition, count: 10 })
  const edge = await theEdge()
  const { checkpoints } = platform.store
  const get = async (path: string) => {
    const answer = await fetch(`${edge.url}${path}`)
    return { status: answer.status, type: answer.headers.get('content-type'), text: await answer.text() }
  }
  const codeOf = async (path: string) => {
    const { status, text } = await get(path)
    return `${status} ${JSON.parse(text).code}`
  }
  try {
    expect(await get('/keys')).toMatchObject({ status: 200, text: '' })
    const unsigned = await checkpointWith(topic, [])
    const both = await checkpointWith(topic, [first, second])
    const one = await checkpointWith(topic, [first, second], 1)
    const plain = { status: 200, type: 'text/plain; charset=utf-8' }
    expect(await get('/keys')).toEqual({
      ...plain,
      text: `${first.verifierKey.text}\n${second.verifierKey.text}\n`,
    })
    const stored = await checkpoints.getCheckpoint(both)
    for (const partition of [0, 1])
      expect(await get(`/checkpoint/${both}/note?partition=${partition}`)).toEqual({
        ...plain,
        text: stored?.positions[partition]?.note,
      })
    expect((await get(`/checkpoint/${one}/note`)).text).toBe(
      (await get(`/checkpoint/${one}/note?partition=1`)).text,
    )
    expect(JSON.parse((await get(`/checkpoint/${both}`)).text).positions[1].signedBy).toEqual(
      [first, second].map(({ verifierKey: { name, keyId } }) => `${name}+${keyId}`),
    )
    const refused: [string, string][] = [
      [`/checkpoint/${both}/note`, '400 BAD_REQUEST'],
      [`/checkpoint/${both}/note?partition=2`, '404 UNKNOWN_PARTITION'],
      [`/checkpoint/${both}/note?partition=-1`, '400 BAD_REQUEST'],
      [`/checkpoint/${unsigned}/note?partition=0`, '409 CHECKPOINT_UNSIGNED'],
      [`/checkpoint/${randomUUID()}/note`, '404 CHECKPOINT_NOT_FOUND'],
      ['/checkpoint/1/note', '400 BAD_REQUEST'],
      ['/keys?x=1', '400 BAD_REQUEST'],
    ]
    for (const [path, code] of refused) expect([path, await codeOf(path)]).toEqual([path, code])
  } finally {
    await edge.close()
  }
})

it('shows where notes are held, and hands them out with the cosignatures of witnesses', async () => {
  const topic = await broker.makeTopic(2)
  for (const partition of [0, 1]) await fill({ topic, partition, count: 10 })
  const edge = await theEdge()
  const { checkpoints, notes } = platform.store
  try {
    const id = await checkpointWith(topic, [second])
    const position = (await checkpoints.getCheckpoint(id))?.positions[1]
    const { note } = position ?? {}
    if (position === undefined || note === undefined || note === null) throw new Error('it is not signed')
    const { text } = taken(parseNote(note))
    const name = 'witness.example/w1'
    const line = cosign(text, name, Buffer.alloc(32, 9), 1_679_315_147n)
    const cosignatures = formatNote({ text, signatures: [line] }).slice(text.length + 1)
    const sent = { logId: position.logId, checkpointId: id, size: position.size, note }
    await notes.recordPlacement('witness', sent, { outcome: 'held', cosignatures })
    await notes.recordPlacement('witness', sent, { outcome: 'conflict', detail: 'a second word' })
    const refusals = [
      { ...{ size: 4n, code: 'LOG_NOT_TAKEN' }, detail: 'no room under its name' },
      // Never sent, and keeps nothing back; of a size that is held; of a larger one.
      { ...{ size: 5n, code: 'NOTE_REFUSED' }, detail: 'forged' },
      { ...{ size: 6n, code: 'LOG_NOT_TAKEN' }, detail: 'over' },
      { ...{ size: 11n, code: 'LOG_NOT_TAKEN' }, detail: 'later' },
    ]
    for (const { size, ...failure } of refusals)
      await notes.recordFailure('folder', { ...sent, size: leafIndex(size) }, failure)
    await notes.recordPlacement('folder', { ...sent, size: leafIndex(6n) }, { outcome: 'held' })
    await notes.recordPlacement('bucket', sent, { outcome: 'conflict', detail: 'something else is there' })
    const view = (await (await fetch(`${edge.url}/checkpoint/${id}`)).json()) as {
      positions: { heldBy: unknown; waitsFor: unknown }[]
    }
    // Nobody has asked the places yet for the first one; the second waits behind a smaller one that was refused.
    expect(view.positions.map(({ waitsFor }) => waitsFor)).toEqual([
      [{ place: 'bucket' }, { place: 'folder' }, { place: 'witness' }],
      [
        {
          place: 'folder',
          failure: {
            ...{ code: 'LOG_NOT_TAKEN', detail: 'no room under its name' },
            ...{ since: expect.any(String), at: expect.any(String) },
          },
        },
      ],
    ])
    const lines = formatCheckpoint(view as unknown as CheckpointView).join('\n')
    expect(lines).toContain('conflict at bucket')
    expect(lines).toMatch(/waits for folder, refused since \S+: LOG_NOT_TAKEN: no room under its name/)
    expect(view.positions.map(({ heldBy }) => heldBy)).toEqual([
      [],
      [
        { place: 'bucket', outcome: 'conflict', at: expect.any(String), detail: 'something else is there' },
        {
          place: 'witness',
          outcome: 'held',
          at: expect.any(String),
          cosignedBy: [`${name}+${line.keyId}`],
        },
      ],
    ])
    const textOf = async (partition: number) =>
      await (await fetch(`${edge.url}/checkpoint/${id}/note?partition=${partition}`)).text()
    const cosigned = await textOf(1)
    expect(cosigned).toBe(`${note}${cosignatures}`)
    expect(taken(openCheckpoint(cosigned, { keys: [second.verifierKey] })).size).toBe(10n)
    const key = witnessKey(name, keyPairOf(Buffer.alloc(32, 9)).publicKey)
    expect(taken(cosignaturesOf(taken(parseNote(cosigned)), [key]))).toMatchObject([
      { timestamp: 1_679_315_147n },
    ])
    expect(await textOf(0)).not.toContain(name)
  } finally {
    await edge.close()
  }
})

it('hands out no note that does not verify', async () => {
  const topic = await broker.makeTopic()
  await fill({ topic, count: 3 })
  const id = await checkpointWith(topic, [second])
  const change = (statement: string, ...values: readonly string[]) =>
    withClient(platform.database.adminUrl, async (client) => {
      await client.query('alter table checkpoint_positions disable trigger user')
      await client.query(statement, [...values])
      await client.query('alter table checkpoint_positions enable trigger user')
    })
  const edge = await theEdge()
  const answer = async () => {
    const response = await fetch(`${edge.url}/checkpoint/${id}/note`)
    const text = await response.text()
    return response.status === 200 ? text : `${response.status} ${JSON.parse(text).code}`
  }
  try {
    const note = await answer()
    expect(taken(openCheckpoint(note, { keys: [second.verifierKey] })).size).toBe(3n)
    const set = 'update checkpoint_positions set note = $2 where checkpoint_id = $1'
    for (const bad of [note.replace('\n3\n', '\n4\n'), note.replace('/0/', '/1/'), 'garbage']) {
      await change(set, id, bad)
      expect([bad, await answer()]).toEqual([bad, '409 CHECKPOINT_MISMATCH'])
    }
    // The note is whole, and its row says something else.
    await change(set, id, note)
    await change('update checkpoint_positions set size = 2 where checkpoint_id = $1', id)
    expect(await answer()).toBe('409 CHECKPOINT_MISMATCH')
  } finally {
    await edge.close()
  }
})
