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
  const rows = await openLogRows(deps.audit, deps.verdict, log, progress.read, nextOffset)
  const sheet = new RowSheet(SHEET_ROWS)
  const start = progress.size
  for (let more = true; more; ) {
    if (signal.aborted || (due() && progress.size > start)) return progress
    more = await rows.readMore(sheet)
    const grown = await digest(deps, log, progress, sheet, !more, rows.spanName)
    deps.observer.leavesVerified(Number(grown.size - progress.size))
    progress = grown
    report(progress)
    await nextTurn()
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

/** Verifies what of the sheet makes whole blocks; the rest waits for the next page. */
async function digest(
  deps: VerifyDependencies,
  id: LogId,
  before: Progress,
  sheet: RowSheet,
  atEnd: boolean,
  spanName: (span: number) => string,
): Promise<Progress> {
  let progress = before
  for (;;) {
    const { size } = progress.head
    const wanted = atEnd ? BLOCKS_AT_ONCE : BigInt(Math.ceil(sheet.count / BLOCK_LEAVES) + 1)
    const from = progress.size / BigInt(BLOCK_LEAVES)
    const to = from + (wanted < BLOCKS_AT_ONCE ? wanted : BLOCKS_AT_ONCE)
    const evidence = await deps.audit.evidence(id, { from, to, size })
    const step = verifyBlocks(progress, sheet, evidence, atEnd, spanName)
    sheet.drop(step.rows)
    const moved = step.progress.size > progress.size
    progress = step.progress
    // A damaged log may lack whole blocks: then one page of rows needs the nodes of many.
    if (!moved || progress.size >= size) return progress
    if (!atEnd && sheet.count < BLOCK_LEAVES) return progress
  }
}
