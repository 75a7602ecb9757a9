/** Archives and recoveries in lines for people. */
import type { PlaceVerification } from '../../domain/archive/placeVerification.ts'
import type {
  AdoptionReport,
  LeftOutArchive,
  MissingRange,
  RecoveredLogView,
  RecoveryReport,
} from '../../domain/archive/recoveryView.ts'
import type { ArchiveView } from '../../domain/archive/view.ts'
import { formatCount } from '../format.ts'

export function formatArchive({ id, status, place, progress, logs, createdAt }: ArchiveView): string[] {
  const { leaves, files, bytes } = progress
  return [
    `${id}  ${status}, ${formatCount(leaves)} leaves in ${files} files, ${formatCount(bytes)} bytes, ${createdAt}`,
    ...(logs.length > 0 ? [`  at ${place}`] : []),
    ...logs.map(
      ({ topic, partition, incarnation, fromLeaf, toLeaf, rootHash }) =>
        `  ${topic}/${partition}, incarnation ${incarnation}: leaves ${fromLeaf} to ${toLeaf}, root ${rootHash}`,
    ),
  ]
}

/** `verbose`: with the names of folders that are no archives. */
export function formatVerification(report: PlaceVerification, verbose: boolean): string[] {
  const { archives, failed, unfinished, passedOver, remarks } = report
  return [
    ...archives.flatMap(({ id, logs }) => [
      `${id}: verified, ${logs.length} logs`,
      ...logs.map(
        ({ origin, fromLeaf, toLeaf, rootHash, signed }) =>
          `  ${origin}: leaves ${fromLeaf} to ${toLeaf}, root ${rootHash}${signed ? ', under a signed note' : ''}`,
      ),
    ]),
    ...failed.map(({ id, code, detail }) => `${id}: BAD: ${code}: ${detail}`),
    ...unfinished.map(
      (id) => `${id} has no manifest: it was never finished, or somebody took it away; left alone`,
    ),
    ...remarks.map((remark) => `REMARK: ${remark}`),
    ...(verbose ? passedOver.map((name) => `${name} is no archive: passed over`) : []),
    ...(verbose || passedOver.length === 0
      ? []
      : [
          `${passedOver.length === 1 ? '1 folder is no archive' : `${passedOver.length} folders are no archives`}: passed over (-v names them)`,
        ]),
  ]
}

export const formatAdoption = ({ logs, withoutLog, complete }: AdoptionReport): string[] => [
  ...logs.flatMap(({ origin, leaves, provenTo, adopted, present, waiting }) => [
    `  ${origin}: ${formatCount(leaves)} leaves, proven up to ${provenTo ?? 'none'}; ${adopted} checkpoints put back, ${present} were there`,
    ...(waiting.length === 0 ? [] : [`    not arrived at: ${waiting.slice(0, 5).join(', ')} leaves`]),
  ]),
  ...withoutLog.map((origin) => `  ${origin}: the database has no such log`),
  complete ? 'every note is borne out' : 'NOT every note is borne out',
]

export function formatRecovery(report: RecoveryReport): string[] {
  const { archives, remarks, unfinished, leftOut, logs, withoutArchive, holes, partitions, checkpoints } =
    report
  return [
    `${logs.length} logs and ${checkpoints} checkpoints from ${archives.length} archives`,
    ...remarks.map((remark) => `  REMARK: ${remark}`),
    ...unfinished.map(
      (id) => `  ${id} has no manifest: it was never finished, or somebody took it away; left alone`,
    ),
    ...leftOut.map(formatLeftOut),
    ...logs.flatMap(formatLog),
    ...withoutArchive.map(
      ({ origin, leaves }) =>
        `  ${origin}: no archive, and a note says that it had ${formatCount(leaves)} leaves`,
    ),
    ...holes.map(
      ({ topic, partition, from, to }) =>
        `  ${topic}/${partition}, incarnation ${from === to ? from : `${from} to ${to}`}: no archive and no note tells of it`,
    ),
    ...partitions.map(
      ({ topic, partition, startOffset }) =>
        `  ${topic}/${partition}: no archive and no note tells of it; ingest takes it from offset ${startOffset}${startOffset === '0' ? '' : ', and what was before that, nobody has'}`,
    ),
    report.complete ? 'nothing is lost' : 'SOMETHING IS LOST, or nobody knows: see what is missing',
  ]
}

function formatLeftOut({ id, lacks }: LeftOutArchive): string {
  if (lacks === null) return `  ${id} was left out, and what was in it, nobody can read`
  const what = lacks.map(({ origin, toLeaf }) => `${origin} up to leaf ${toLeaf}`)
  return what.length === 0
    ? `  ${id} was left out: nothing of it is missing`
    : `  ${id} was left out: it has, and no other archive, ${what.slice(0, 5).join(', ')}`
}

function formatLog(log: RecoveredLogView): string[] {
  const { topic, partition, incarnation, leaves, events, deadLetters, gaps, nextOffset } = log
  const proven =
    log.provenTo === null
      ? 'no note held elsewhere to compare with'
      : `proven up to leaf ${log.provenTo} by ${log.notes.matched} notes held elsewhere`
  return [
    `  ${topic}/${partition}, incarnation ${incarnation}: ${formatCount(leaves)} leaves (${formatCount(events)} events, ${formatCount(deadLetters)} dead letters, ${formatCount(gaps)} gaps), next offset ${nextOffset}`,
    `    root ${log.rootHash}, ${proven}`,
    ...(log.reclassified === '0'
      ? []
      : [`    ${log.reclassified} events are dead letters by this version's verdict`]),
    ...(log.signedTo === null || log.signedTo === leaves
      ? []
      : [
          `    leaves ${log.signedTo} to ${leaves}: no signed note covers them, so only the archive vouches for them`,
        ]),
    ...(log.codesByWord === '0'
      ? []
      : [`    ${formatCount(log.codesByWord)} dead letters have their codes by the archive's word alone`]),
    ...formatRepeats(log.repeatedIds),
    ...formatDoubts(log.signatureDoubts),
    ...(log.unprovenOffsets === '0'
      ? []
      : [
          `    offset ${nextOffset} is ${formatCount(log.unprovenOffsets)} behind the last leaf: nothing proves that there was nothing between them`,
        ]),
    ...log.missing.map(formatMissing),
    ...(log.followedBy === undefined
      ? []
      : [
          `    stays as it is; incarnation ${log.followedBy.incarnation} was opened behind it, from offset ${log.followedBy.startOffset}`,
        ]),
  ]
}

const formatRepeats = (repeated: RecoveredLogView['repeatedIds']): string[] =>
  repeated === undefined
    ? []
    : [
        `    ${formatCount(repeated.events)} events have the id of an earlier event, the first one leaf ${repeated.firstLeaf}, ${repeated.nearest} offsets apart at least`,
      ]

const formatDoubts = ({ wouldLetIn, wouldRefuse }: RecoveredLogView['signatureDoubts']): string[] =>
  wouldLetIn + wouldRefuse === 0
    ? []
    : [
        `    by the producers' keys and policies of the archive, ${wouldLetIn} dead letters SIGNATURE would be events, and ${wouldRefuse} events would be refused`,
      ]

function formatMissing({ state, fromLeaf, toLeaf, fromOffset, toOffset, detail }: MissingRange): string {
  const leaves = `leaves ${fromLeaf} to ${toLeaf ?? '?'}`
  return `    missing (${state}): ${leaves}, offsets ${fromOffset} to ${toOffset ?? '?'}: ${detail}`
}
