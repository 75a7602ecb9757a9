/** Verifies pages of one log for some seconds (docs/evidence.md, "Verification of a log"). */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type LogId, logId } from '../../src/domain/model.ts'
import { BLOCK_LEAVES } from '../../src/domain/verification/block.ts'
import { concludeGoneLog, concludeLog } from '../../src/domain/verification/concludeLog.ts'
import type { RecordVerdict } from '../../src/domain/verification/deriveRow.ts'
import {
  type Progress,
  type ProgressJson,
  progressFromJson,
  startOf,
} from '../../src/domain/verification/progress.ts'
import { RowSheet } from '../../src/domain/verification/rowSheet.ts'
import { verifyBlocks } from '../../src/domain/verification/verifyBlocks.ts'
import { ServiceError } from '../../src/errors.ts'
import type { LogAudit } from '../../src/ports.ts'
import { openLogRows } from './logRows.ts'

export interface VerifyDependencies {
  readonly audit: LogAudit
  readonly verdict: RecordVerdict
  readonly observer: { leavesVerified(leaves: number): void }
  readonly now: () => number
}

export interface SliceBounds {
  /** Comes to an end within a page, wherever that is. */
  readonly signal: AbortSignal
  /** Comes to an end with the page at hand, but never where it began. */
  readonly due: () => boolean
  /** After each page: what is enough to go on exactly from there. */
  readonly report: (progress: Progress) => void
}

/** Blocks whose nodes and checkpoints are fetched at once. */
const BLOCKS_AT_ONCE = 1_024n
const SHEET_ROWS = 16_384

/**
 * Goes on from `before` until the log is done, `due` or aborted; without `before` from the start, against the log as
 * it stands now. Throws UNKNOWN_PARTITION, DATABASE_UNAVAILABLE.
 */
export async function verifySlice(
  deps: VerifyDependencies,
  id: number,
  before: ProgressJson | null,
  { signal, due, report }: SliceBounds,
): Promise<Progress> {
  const log = logId(id)
  let progress = before === null ? await begin(deps.audit, log) : progressFromJson(before)
  if (progress.done) return progress
  const { nextOffset } = progress.head
  const open = () => openLogRows(deps.audit, deps.verdict, log, progress.read, nextOffset)
  let layout = await deps.audit.layout()
  let rows = await open()
  const sheet = new RowSheet(SHEET_ROWS)
  const start = progress.size
  const stop = (): boolean => signal.aborted || (due() && progress.size > start)
  for (let more = true; more; ) {
    if (stop()) return progress
    more = await rows.readMore(sheet)
    for (let moved = true; moved; ) {
      const before = progress
      const step = await digest(deps, log, before, sheet, !more, rows.spanName)
      if (
        step.progress.findings.counts !== before.findings.counts &&
        (await deps.audit.layout()) !== layout
      ) {
        // A day was detached or attached while its rows were read: they are read again, as they lie now.
        layout = await deps.audit.layout()
        sheet.clear()
        rows = await open()
        more = true
        break
      }
      progress = step.progress
      moved = step.more
      const passed = progress.detached.leaves - before.detached.leaves
      deps.observer.leavesVerified(Number(progress.size - before.size - passed))
      report(progress)
      await nextTurn()
      // Days that are away have many leaves and no rows.
      if (moved && stop()) return progress
    }
  }
  return concludeLog(progress, sheet, await deps.audit.beyond(log))
}

async function begin(audit: LogAudit, id: LogId): Promise<Progress> {
  const head = await audit.head(id)
  if (head !== null) return startOf(head)
  const gone = await audit.goneLog(id)
  if (gone === null) throw new ServiceError('UNKNOWN_PARTITION', `there is no log ${id}`)
  return concludeGoneLog(gone)
}

/** Verifies what of the sheet makes whole blocks; the rest waits for the next page. `more`: there is more to verify without it. */
async function digest(
  deps: VerifyDependencies,
  id: LogId,
  progress: Progress,
  sheet: RowSheet,
  atEnd: boolean,
  spanName: (span: number) => string,
): Promise<{ readonly progress: Progress; readonly more: boolean }> {
  const { size } = progress.head
  const from = progress.size / BigInt(BLOCK_LEAVES)
  const to = from + (atEnd ? BLOCKS_AT_ONCE : blocksOf(sheet, progress))
  const evidence = await deps.audit.evidence(id, { from, to, size })
  const step = verifyBlocks(progress, sheet, evidence, atEnd, spanName)
  sheet.drop(step.rows)
  const moved = step.progress.size > progress.size
  // A damaged log may lack whole blocks: then one page of rows needs the nodes of many.
  const more = moved && step.progress.size < size && (atEnd || sheet.count >= BLOCK_LEAVES)
  return { progress: step.progress, more }
}

/** As many as its rows can fill, or as lie before the last of them, where leaves are away. */
function blocksOf({ count, leafIndexes }: RowSheet, { size }: Progress): bigint {
  const filled = BigInt(Math.ceil(count / BLOCK_LEAVES) + 1)
  const before = count === 0 ? 0n : ((leafIndexes[count - 1] as bigint) - size) / BigInt(BLOCK_LEAVES) + 1n
  const wanted = before > filled ? before : filled
  return wanted < BLOCKS_AT_ONCE ? wanted : BLOCKS_AT_ONCE
}
