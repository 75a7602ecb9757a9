/**
 * Records the histories that guard determinism: `node test/workflows/record.ts [name …]`, with TEMPORAL_ADDRESS set, writes
 * test/histories, or only the named ones. Run it when a workflow changes on purpose, and keep the old ones while such
 * workflows may still run.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Context } from '@temporalio/activity'
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js'
import type { Activities } from '../../activities/contract.ts'
import { archiving, arithmeticActivities, openHarness, verifying } from './harness.ts'

const folder = join(import.meta.dirname, '../histories')
const harness = await openHarness()
const { client, taskQueue } = harness
const events = { topic: 'events', targetTopic: 'target' }

const start = (activities: Activities, ...args: unknown[]) =>
  client.workflow.start('replay', { taskQueue, workflowId: harness.play(activities), args })

const wanted = new Set(process.argv.slice(2))

async function save(name: string, workflowId: string): Promise<void> {
  if (wanted.size > 0 && !wanted.has(name)) return
  const history: unknown = JSON.parse(
    historyToJSON(await client.workflow.getHandle(workflowId).fetchHistory()),
  )
  const text = JSON.stringify({ workflowId, history }, withoutPlaces, 1)
  writeFileSync(join(folder, `${name}.json`), `${text}\n`)
}

/** Where it was recorded is nobody's business. */
function withoutPlaces(name: string, value: unknown): unknown {
  if (name === 'stackTrace') return ''
  // Process and host: of the worker, and in the name of its own queue.
  return typeof value === 'string' && /^\d+@/.test(value) ? 'recorder' : value
}

/** Goes on until it is cancelled or at the end, ten offsets at a time. */
const patient = async (to: bigint, from: bigint): Promise<bigint> => {
  let cursor = from
  while (cursor < to && !Context.current().cancellationSignal.aborted) {
    cursor += 10n
    Context.current().heartbeat()
    await sleep(50)
  }
  return cursor
}

const paused = arithmeticActivities({
  logs: 6,
  perLog: 500,
  slice: (log, from) => patient(BigInt(log.to), from),
})
const completed = await start(paused.activities, events)
await sleep(1_000)
await completed.executeUpdate('pause')
await completed.executeUpdate('resume')
await completed.result()
await save('replay-completed', completed.workflowId)
await save('replayLog-paused', `${completed.workflowId}/log-0`)

const endless = arithmeticActivities({
  logs: 2,
  perLog: 1_000_000,
  slice: (log, from) => patient(BigInt(log.to), from),
})
const cancelled = await start(endless.activities, events)
await sleep(1_000)
await cancelled.cancel()
await cancelled.result().catch(() => undefined)
await save('replay-cancelled', cancelled.workflowId)
await save('replayLog-cancelled', `${cancelled.workflowId}/log-1`)

const refused = await start(endless.activities, { topic: 'events', fromOffset: '-1' })
await refused.result().catch(() => undefined)
await save('replay-refused', refused.workflowId)

const lost = arithmeticActivities({
  logs: 3,
  perLog: 500,
  slice: (log, from) => patient(BigInt(log.to), from),
})
lost.cursors.set(0, 480n)
lost.cursors.set(1, 500n)
const planReplay: Activities['planReplay'] = async (input) => ({
  ...(await lost.activities.planReplay(input)),
  ended: { status: 'failed', error: { code: 'CURSOR_LOST', detail: 'the cursor is gone' } },
})
const recovered = await start({ ...lost.activities, planReplay }, events, null, { acceptDoubles: false })
await recovered.result()
await save('replay-recovered', recovered.workflowId)

const storeCheckpoint: Activities['storeCheckpoint'] = async ({ checkpointId, requestedBy }) => ({
  id: checkpointId,
  topic: 'events',
  createdAt: new Date().toISOString(),
  createdBy: requestedBy,
  positions: [{ partition: 0, offset: '5', size: '5', rootHash: '0'.repeat(64), signedBy: [] }],
})
const flawless: Activities = { ...endless.activities, ...verifying([]) }
const verifyAs = (activities: Activities): string =>
  harness.play(activities).replace('replay/', 'verify-log/')
const intact = verifyAs(flawless)
await client.workflow.execute('verifyLog', { taskQueue, workflowId: intact, args: [{ topic: 'events' }] })
await save('verifyLog-intact', intact)
const damaged = verifyAs({ ...flawless, ...verifying([2]) })
await client.workflow.execute('verifyLog', { taskQueue, workflowId: damaged, args: [] })
await save('verifyLog-damaged', damaged)
const stopped = verifyAs({ ...flawless, ...verifying([], true) })
const verification = await client.workflow.start('verifyLog', { taskQueue, workflowId: stopped, args: [] })
await sleep(1_000)
await verification.cancel()
await verification.result().catch(() => undefined)
await save('verifyLog-cancelled', stopped)

const replayVerified = harness.play(flawless).replace('replay/', 'verify-replay/')
const ofReplay = [{ replayId: 'r-1' }]
await client.workflow.execute('verifyReplay', { taskQueue, workflowId: replayVerified, args: ofReplay })
await save('verifyReplay-intact', replayVerified)

const workflowId = harness.play({ ...endless.activities, storeCheckpoint }).replace('replay/', 'checkpoint/')
await client.workflow.execute('createCheckpoint', { taskQueue, workflowId, args: [{ topic: 'events' }] })
await save('createCheckpoint', workflowId)

const look = async (name: string, reason: 'events' | null): Promise<void> => {
  const checkpointDue: Activities['checkpointDue'] = async () => ({ reason, uncovered: '7' })
  const scheduled = harness
    .play({ ...endless.activities, checkpointDue })
    .replace('replay/', 'checkpoint-schedule/')
  harness.playOthers({ ...endless.activities, storeCheckpoint })
  const args = [{ topic: 'events', everyEvents: 7 }]
  await client.workflow.execute('scheduledCheckpoint', { taskQueue, workflowId: scheduled, args })
  await save(name, scheduled)
}
await look('scheduledCheckpoint-due', 'events')
await look('scheduledCheckpoint-not-due', null)

let attempts = 0
const placeNotes: Activities['placeNotes'] = async () => {
  attempts++
  if (attempts === 1) throw new Error('the place is away')
  return { placed: 20, more: attempts < 4 }
}
const sent = harness.play({ ...endless.activities, placeNotes }).replace('replay/', 'send-notes/')
await client.workflow.execute('sendNotes', { taskQueue, workflowId: sent, args: [{ place: 'kafka:notes' }] })
await save('sendNotes-completed', sent)
// A log is refused: its pause is broken off for a new note, ends by itself, and is ended by an operator.
let looks = 0
const refusing: Activities['placeNotes'] = async () => {
  looks++
  if (looks > 4) return { placed: 1, more: false }
  const rest = { logId: 7, tries: looks, untilMs: 0, ofPlace: false }
  return {
    placed: looks % 2,
    more: false,
    rests: { logs: [rest], place: null, flawed: null, untried: false },
    againInMs: looks === 2 ? 500 : 60_000,
    failure: { code: 'LOG_NOT_TAKEN', detail: 'it does not know this log' },
  }
}
const unloved = harness
  .play({ ...endless.activities, placeNotes: refusing })
  .replace('replay/', 'send-notes/')
const sending = await client.workflow.signalWithStart('sendNotes', {
  ...{ taskQueue, workflowId: unloved, args: [{ place: 'kafka:notes' }] },
  ...{ signal: 'notesWait', signalArgs: [] },
})
for (const signal of ['notesWait', 'notesWait', 'tryAgain']) {
  await sleep(1_000)
  await sending.signal(signal)
}
await sending.result()
await save('sendNotes-refused', unloved)
const archived: Activities = { ...endless.activities, storeCheckpoint, ...archiving() }
const archiveAs = (activities: Activities): string => harness.play(activities).replace('replay/', 'archive/')
const kept = archiveAs(archived)
await client.workflow.execute('archive', { taskQueue, workflowId: kept, args: [{ topic: 'events' }] })
await save('archive-verified', kept)
const abandoned = archiveAs({ ...archived, ...archiving(true) })
const leaving = await client.workflow.start('archive', {
  ...{ taskQueue, workflowId: abandoned, args: [{ topic: 'events' }] },
})
await sleep(1_000)
await leaving.cancel()
await leaving.result().catch(() => undefined)
await save('archive-cancelled', abandoned)
await harness.close()
