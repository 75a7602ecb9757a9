/**
 * Tables and columns as Drizzle sees them. What it cannot express (range partitions, triggers, roles, functions) is
 * hand-written SQL in the same numbered series of migrations; docs/schema.md says what auditors may rely on.
 */
import { pgCore, sql } from './orm.ts'

const {
  bigint,
  boolean,
  check,
  customType,
  date,
  index,
  integer,
  json,
  pgTable,
  primaryKey,
  smallint,
  text,
  timestamp,
  unique,
  uuid,
} = pgCore

const bytea = customType<{ data: Buffer; driverData: Buffer }>({ dataType: () => 'bytea' })
/** int8 as bigint: offsets and sizes pass 2^53. */
const int8 = (name: string) => bigint(name, { mode: 'bigint' })
const time = (name: string) => timestamp(name, { withTimezone: true, mode: 'date' })

/** One row per log. The moving columns only grow (trigger); the application may update no others. */
export const partitionLogs = pgTable(
  'partition_logs',
  {
    id: integer('id').primaryKey().generatedAlwaysAsIdentity(),
    topic: text('topic').notNull(),
    partition: integer('partition').notNull(),
    topicId: uuid('topic_id').notNull(),
    /**
     * 1 for the first log of a source partition; the newest has the highest, and no other is appended to. Several may
     * have one topic id: a source that was cut back goes on in a new log too.
     */
    incarnation: integer('incarnation').notNull(),
    leaderEpoch: integer('leader_epoch').notNull(),
    startOffset: int8('start_offset').notNull(),
    nextOffset: int8('next_offset').notNull(),
    size: int8('size').notNull(),
    /** Key, value and header bytes of all leaves together; what a page of a replay is measured with. */
    bytes: int8('bytes').notNull(),
    /** Compact range: 32 bytes per perfect subtree, largest first. */
    frontier: bytea('frontier').notNull(),
    lastIngestedAt: time('last_ingested_at'),
    createdAt: time('created_at').notNull(),
  },
  (t) => [
    unique('partition_logs_incarnation_key').on(t.topic, t.partition, t.incarnation),
    check('partition_logs_partition', sql`${t.partition} >= 0 and ${t.incarnation} >= 1`),
    check('partition_logs_start', sql`${t.startOffset} >= 0 and ${t.nextOffset} >= ${t.startOffset}`),
    check('partition_logs_size', sql`${t.size} >= 0 and ${t.size} <= ${t.nextOffset} - ${t.startOffset}`),
    check('partition_logs_frontier', sql`octet_length(${t.frontier}) = 32 * bit_count(${t.size}::bit(64))`),
  ],
)

/**
 * Fixed-width columns first, so that nothing is padded. No CHECK and no foreign key: each costs on every row, and only
 * the append, which knows, writes here. Partitioned by ingestion time; indexes live on the partitions.
 */
export const events = pgTable('events', {
  offset: int8('offset').notNull(),
  leafIndex: int8('leaf_index').notNull(),
  /** The event's own time, ms since the epoch. */
  eventTime: int8('event_time').notNull(),
  /** Kafka's record timestamp, ms since the epoch; −1 when the record has none. */
  kafkaTimestamp: int8('kafka_timestamp').notNull(),
  ingestedAt: time('ingested_at').notNull(),
  logId: integer('log_id').notNull(),
  id: uuid('id').notNull(),
  type: text('type').notNull(),
  source: text('source').notNull(),
  tenantId: text('tenant_id'),
  classification: text('classification').notNull(),
  policyTags: text('policy_tags').array().notNull(),
  key: bytea('key'),
  value: bytea('value').notNull(),
  /** Kafka's record encoding: varint count, then per header varint-length key and value (−1 null). */
  headers: bytea('headers').notNull(),
  contentHash: bytea('content_hash').notNull(),
  leafHash: bytea('leaf_hash').notNull(),
})

export const deadLetters = pgTable(
  'dead_letters',
  {
    logId: integer('log_id').notNull(),
    offset: int8('offset').notNull(),
    /** Equals `offset`, save for an undecodable batch, which is one leaf for all its offsets. */
    lastOffset: int8('last_offset').notNull(),
    leafIndex: int8('leaf_index').notNull(),
    code: text('code').notNull(),
    detail: text('detail').notNull(),
    key: bytea('key'),
    value: bytea('value'),
    headers: bytea('headers').notNull(),
    kafkaTimestamp: int8('kafka_timestamp').notNull(),
    leafHash: bytea('leaf_hash').notNull(),
    ingestedAt: time('ingested_at').notNull(),
  },
  (t) => [
    primaryKey({ name: 'dead_letters_pkey', columns: [t.logId, t.offset] }),
    check('dead_letters_offsets', sql`${t.lastOffset} >= ${t.offset}`),
    check('dead_letters_leaf_hash', sql`octet_length(${t.leafHash}) = 32`),
  ],
)

export const gaps = pgTable(
  'gaps',
  {
    logId: integer('log_id').notNull(),
    fromOffset: int8('from_offset').notNull(),
    /** Exclusive. */
    toOffset: int8('to_offset').notNull(),
    leafIndex: int8('leaf_index').notNull(),
    leafHash: bytea('leaf_hash').notNull(),
    ingestedAt: time('ingested_at').notNull(),
  },
  (t) => [
    primaryKey({ name: 'gaps_pkey', columns: [t.logId, t.fromOffset] }),
    check('gaps_offsets', sql`${t.toOffset} > ${t.fromOffset}`),
    check('gaps_leaf_hash', sql`octet_length(${t.leafHash}) = 32`),
  ],
)

/**
 * Roots of perfect subtrees, levels 8, 16, 24…; level 8 is also the sparse index from offsets to ingestion time and
 * bytes that bounds every read.
 */
export const logNodes = pgTable(
  'log_nodes',
  {
    logId: integer('log_id').notNull(),
    level: smallint('level').notNull(),
    index: int8('index').notNull(),
    hash: bytea('hash').notNull(),
    /** Offset after the subtree's last leaf. */
    endOffset: int8('end_offset').notNull(),
    /** Key, value and header bytes of all leaves of the log up to the subtree's last. */
    bytes: int8('bytes').notNull(),
    /** Ingestion time of the subtree's last leaf. */
    ingestedAt: time('ingested_at').notNull(),
  },
  (t) => [
    primaryKey({ name: 'log_nodes_pkey', columns: [t.logId, t.level, t.index] }),
    index('log_nodes_end_offset').on(t.logId, t.endOffset).where(sql`${t.level} = 8`),
    check('log_nodes_level', sql`${t.level} > 0 and ${t.level} % 8 = 0`),
    check('log_nodes_hash', sql`octet_length(${t.hash}) = 32`),
  ],
)

export const checkpoints = pgTable(
  'checkpoints',
  {
    id: uuid('id').primaryKey(),
    /** Order of insertion: what "latest" means. */
    sequence: int8('sequence').generatedAlwaysAsIdentity().unique('checkpoints_sequence_key'),
    topic: text('topic').notNull(),
    partition: integer('partition'),
    offset: int8('offset'),
    createdAt: time('created_at').notNull().default(sql`clock_timestamp()`),
    createdBy: text('created_by').notNull(),
  },
  (t) => [index('checkpoints_topic_sequence').on(t.topic, t.sequence)],
)

export const checkpointPositions = pgTable(
  'checkpoint_positions',
  {
    checkpointId: uuid('checkpoint_id')
      .notNull()
      .references(() => checkpoints.id),
    logId: integer('log_id')
      .notNull()
      .references(() => partitionLogs.id),
    partition: integer('partition').notNull(),
    /** The checkpoint covers the offsets below. */
    offset: int8('offset').notNull(),
    size: int8('size').notNull(),
    rootHash: bytea('root_hash').notNull(),
    /** The C2SP signed note, byte for byte; null when no key was there to sign. */
    note: text('note'),
  },
  (t) => [
    primaryKey({ name: 'checkpoint_positions_pkey', columns: [t.checkpointId, t.logId] }),
    index('checkpoint_positions_log_size').on(t.logId, t.size),
    check('checkpoint_positions_root_hash', sql`octet_length(${t.rootHash}) = 32`),
    check(
      'checkpoint_positions_note',
      sql`octet_length(${t.note}) <= 1000000 and ${t.size} >= 0 and ${t.offset} >= 0`,
    ),
  ],
)

/**
 * Public keys that sign checkpoints, for ever, each with the period that it signed. A period that gets an end is a new row:
 * of each key the newest one counts.
 */
export const signingKeys = pgTable(
  'signing_keys',
  {
    sequence: int8('sequence').primaryKey().generatedAlwaysAsIdentity(),
    name: text('name').notNull(),
    /** 8 lower-case hex digits. */
    keyId: text('key_id').notNull(),
    publicKey: bytea('public_key').notNull(),
    signsFrom: time('signs_from').notNull(),
    /** Exclusive; null while no end is set. */
    signsUntil: time('signs_until'),
    recordedAt: time('recorded_at').notNull().default(sql`clock_timestamp()`),
  },
  (t) => [
    check('signing_keys_public_key', sql`octet_length(${t.publicKey}) = 32`),
    check('signing_keys_key_id', sql`${t.keyId} ~ '^[0-9a-f]{8}$'`),
    check('signing_keys_period', sql`${t.signsUntil} > ${t.signsFrom}`),
  ],
)

/** Public keys of producers, per source. Of each key of a source the newest row counts. */
export const producerKeys = pgTable(
  'producer_keys',
  {
    sequence: int8('sequence').primaryKey().generatedAlwaysAsIdentity(),
    source: text('source').notNull(),
    name: text('name').notNull(),
    /** 8 lower-case hex digits. */
    keyId: text('key_id').notNull(),
    publicKey: bytea('public_key').notNull(),
    validFrom: time('valid_from').notNull(),
    /** Exclusive; null while no end is set. */
    validUntil: time('valid_until'),
    createdAt: time('created_at').notNull().default(sql`clock_timestamp()`),
    createdBy: text('created_by').notNull(),
  },
  (t) => [
    index('producer_keys_source').on(t.source, t.name, t.keyId, t.sequence),
    check('producer_keys_public_key', sql`octet_length(${t.publicKey}) = 32`),
    check('producer_keys_key_id', sql`${t.keyId} ~ '^[0-9a-f]{8}$'`),
    check('producer_keys_validity', sql`${t.validUntil} > ${t.validFrom}`),
  ],
)

/** What a source's events must show. Of each source the newest row counts; a source without one need not sign. */
export const signaturePolicies = pgTable(
  'signature_policies',
  {
    sequence: int8('sequence').primaryKey().generatedAlwaysAsIdentity(),
    source: text('source').notNull(),
    policy: text('policy').notNull(),
    createdAt: time('created_at').notNull().default(sql`clock_timestamp()`),
    createdBy: text('created_by').notNull(),
  },
  (t) => [
    index('signature_policies_source').on(t.source, t.sequence),
    check('signature_policies_policy', sql`${t.policy} in ('ignore', 'verify', 'require')`),
  ],
)

export const operatorActions = pgTable(
  'operator_actions',
  {
    id: int8('id').primaryKey().generatedAlwaysAsIdentity(),
    actor: text('actor').notNull(),
    action: text('action').notNull(),
    target: text('target').notNull(),
    outcome: text('outcome').notNull(),
    requestId: text('request_id').notNull(),
    /** `json`, not `jsonb`: kept as it was sent. */
    detail: json('detail'),
    createdAt: time('created_at').notNull().default(sql`clock_timestamp()`),
  },
  (t) => [index('operator_actions_created_at').on(t.createdAt)],
)

/** The frozen plan and a mirror of its progress for people; the truth about progress is the cursor in Kafka. */
export const replays = pgTable(
  'replays',
  {
    planId: uuid('plan_id').primaryKey(),
    sequence: int8('sequence').generatedAlwaysAsIdentity().unique('replays_sequence_key'),
    replayId: text('replay_id').notNull().unique('replays_replay_id_key'),
    planHash: text('plan_hash').notNull(),
    request: json('request').notNull(),
    topic: text('topic').notNull(),
    targetTopic: text('target_topic').notNull(),
    targetTopicId: uuid('target_topic_id').notNull(),
    filters: json('filters').notNull(),
    checkpointId: uuid('checkpoint_id').references(() => checkpoints.id),
    createdAt: time('created_at').notNull().default(sql`clock_timestamp()`),
    createdBy: text('created_by').notNull(),
    status: text('status').notNull(),
    receipt: json('receipt'),
    errorCode: text('error_code'),
    errorDetail: text('error_detail'),
    updatedAt: time('updated_at').notNull().default(sql`clock_timestamp()`),
  },
  (t) => [
    check(
      'replays_status',
      sql`${t.status} in ('planning', 'running', 'paused', 'completed', 'failed', 'cancelled')`,
    ),
  ],
)

export const replayLogs = pgTable(
  'replay_logs',
  {
    planId: uuid('plan_id')
      .notNull()
      .references(() => replays.planId),
    logId: integer('log_id')
      .notNull()
      .references(() => partitionLogs.id),
    partition: integer('partition').notNull(),
    fromOffset: int8('from_offset').notNull(),
    toOffset: int8('to_offset').notNull(),
    planned: int8('planned').notNull(),
    targetPartition: integer('target_partition').notNull(),
    started: boolean('started').notNull().default(false),
    cursor: int8('cursor').notNull(),
    events: int8('events').notNull().default(sql`0`),
    rootHash: bytea('root_hash'),
    updatedAt: time('updated_at').notNull().default(sql`clock_timestamp()`),
  },
  (t) => [
    primaryKey({ name: 'replay_logs_pkey', columns: [t.planId, t.logId] }),
    // Which replays covered an offset. Only columns that never change: the mirror stays cheap.
    index('replay_logs_log').on(t.logId, t.fromOffset),
  ],
)

/** What was to be verified, written down when the work was planned. Append-only, as are its parts and its result. */
export const verifications = pgTable(
  'verifications',
  {
    id: uuid('id').primaryKey(),
    sequence: int8('sequence').generatedAlwaysAsIdentity().unique('verifications_sequence_key'),
    kind: text('kind').notNull(),
    workflowId: text('workflow_id').notNull(),
    request: json('request').notNull(),
    /** Logs that it is about, and leaves or records that they had. */
    parts: integer('parts').notNull(),
    total: int8('total').notNull(),
    createdAt: time('created_at').notNull().default(sql`clock_timestamp()`),
    createdBy: text('created_by').notNull(),
  },
  (t) => [check('verifications_kind', sql`${t.kind} in ('log', 'replay')`)],
)

export const verificationParts = pgTable(
  'verification_parts',
  {
    verificationId: uuid('verification_id')
      .notNull()
      .references(() => verifications.id),
    // No reference: of a log whose row is gone, that is what is written down.
    logId: integer('log_id').notNull(),
    verdict: text('verdict').notNull(),
    report: json('report').notNull(),
    finishedAt: time('finished_at').notNull().default(sql`clock_timestamp()`),
  },
  (t) => [
    primaryKey({ name: 'verification_parts_pkey', columns: [t.verificationId, t.logId] }),
    // Which verdict about a log is the newest.
    index('verification_parts_log').on(t.logId, t.finishedAt),
    check('verification_parts_verdict', sql`${t.verdict} in ('intact', 'damaged')`),
  ],
)

export const verificationResults = pgTable(
  'verification_results',
  {
    verificationId: uuid('verification_id')
      .primaryKey()
      .references(() => verifications.id),
    verdict: text('verdict').notNull(),
    errorCode: text('error_code'),
    errorDetail: text('error_detail'),
    finishedAt: time('finished_at').notNull().default(sql`clock_timestamp()`),
  },
  (t) => [
    check('verification_results_verdict', sql`${t.verdict} in ('intact', 'damaged', 'cancelled', 'failed')`),
  ],
)

/** What was to be archived, written down when the work was planned. Append-only, as are its logs, files and result. */
export const archives = pgTable('archives', {
  id: uuid('id').primaryKey(),
  sequence: int8('sequence').generatedAlwaysAsIdentity().unique('archives_sequence_key'),
  workflowId: text('workflow_id').notNull(),
  request: json('request').notNull(),
  /** A folder or `s3://bucket/prefix?endpoint=…`, older ones without the endpoint; without the archive's own folder. */
  place: text('place').notNull(),
  /** Checkpoints that are archived with the logs were made up to here. */
  checkpointSequence: int8('checkpoint_sequence').notNull(),
  createdAt: time('created_at').notNull().default(sql`clock_timestamp()`),
  createdBy: text('created_by').notNull(),
})

/** The part of a log that an archive is to hold. */
export const archiveLogs = pgTable(
  'archive_logs',
  {
    archiveId: uuid('archive_id')
      .notNull()
      .references(() => archives.id),
    logId: integer('log_id')
      .notNull()
      .references(() => partitionLogs.id),
    fromLeaf: int8('from_leaf').notNull(),
    /** Exclusive. */
    toLeaf: int8('to_leaf').notNull(),
    fromOffset: int8('from_offset').notNull(),
    toOffset: int8('to_offset').notNull(),
    /** Of the log's first `to_leaf` leaves. */
    rootHash: bytea('root_hash').notNull(),
  },
  (t) => [
    primaryKey({ name: 'archive_logs_pkey', columns: [t.archiveId, t.logId] }),
    index('archive_logs_log').on(t.logId, t.fromLeaf),
    check('archive_logs_range', sql`${t.toLeaf} >= ${t.fromLeaf} and ${t.toOffset} >= ${t.fromOffset}`),
    check('archive_logs_root_hash', sql`octet_length(${t.rootHash}) = 32`),
  ],
)

/** A file that lies at the archive's place; written down after it was put there. */
export const archiveFiles = pgTable(
  'archive_files',
  {
    archiveId: uuid('archive_id')
      .notNull()
      .references(() => archives.id),
    logId: integer('log_id')
      .notNull()
      .references(() => partitionLogs.id),
    kind: text('kind').notNull(),
    /** 0, 1, 2… in the archive, for each log and kind. */
    ordinal: integer('ordinal').notNull(),
    fromLeaf: int8('from_leaf').notNull(),
    toLeaf: int8('to_leaf').notNull(),
    fromOffset: int8('from_offset').notNull(),
    toOffset: int8('to_offset').notNull(),
    lines: integer('lines').notNull(),
    name: text('name').notNull(),
    /** Of the file as it lies there. */
    bytes: int8('bytes').notNull(),
    unpackedBytes: int8('unpacked_bytes').notNull(),
    sha256: bytea('sha256').notNull(),
    createdAt: time('created_at').notNull().default(sql`clock_timestamp()`),
  },
  (t) => [
    primaryKey({ name: 'archive_files_pkey', columns: [t.archiveId, t.logId, t.kind, t.ordinal] }),
    check('archive_files_kind', sql`${t.kind} in ('leaves', 'checkpoints')`),
    check('archive_files_sha256', sql`octet_length(${t.sha256}) = 32`),
  ],
)

/** How it ended. `verified`: all of it was read back from its place. */
export const archiveResults = pgTable(
  'archive_results',
  {
    archiveId: uuid('archive_id')
      .primaryKey()
      .references(() => archives.id),
    status: text('status').notNull(),
    manifestSha256: bytea('manifest_sha256'),
    errorCode: text('error_code'),
    errorDetail: text('error_detail'),
    finishedAt: time('finished_at').notNull().default(sql`clock_timestamp()`),
  },
  (t) => [
    check('archive_results_status', sql`${t.status} in ('verified', 'cancelled', 'failed')`),
    check('archive_results_manifest', sql`(${t.status} = 'verified') = (${t.manifestSha256} is not null)`),
  ],
)

/** What may not leave the database. Of each subject the newest row counts. */
export const legalHolds = pgTable(
  'legal_holds',
  {
    sequence: int8('sequence').primaryKey().generatedAlwaysAsIdentity(),
    scope: text('scope').notNull(),
    /** A topic, or a tenant's id. */
    subject: text('subject').notNull(),
    /** Set, or lifted. */
    held: boolean('held').notNull(),
    reason: text('reason').notNull(),
    createdAt: time('created_at').notNull().default(sql`clock_timestamp()`),
    createdBy: text('created_by').notNull(),
  },
  (t) => [
    index('legal_holds_subject').on(t.scope, t.subject, t.sequence),
    check('legal_holds_scope', sql`${t.scope} in ('topic', 'tenant')`),
  ],
)

/** Days that were taken out of the log; only `detach_events_partition`, the owner's, writes here. */
export const detachedPartitions = pgTable('detached_partitions', {
  sequence: int8('sequence').primaryKey().generatedAlwaysAsIdentity(),
  day: date('day').notNull(),
  name: text('name').notNull(),
  rows: int8('rows').notNull(),
  reason: text('reason').notNull(),
  detachedAt: time('detached_at').notNull().default(sql`clock_timestamp()`),
  detachedBy: text('detached_by').notNull(),
})

/** Which leaves of a log went away with a day: runs without holes, as its table had them. Written with the detachment. */
export const detachedLeaves = pgTable(
  'detached_leaves',
  {
    detachment: int8('detachment')
      .notNull()
      .references(() => detachedPartitions.sequence),
    logId: integer('log_id').notNull(),
    fromLeaf: int8('from_leaf').notNull(),
    /** Exclusive. */
    toLeaf: int8('to_leaf').notNull(),
    fromOffset: int8('from_offset').notNull(),
    toOffset: int8('to_offset').notNull(),
    /** Verified archives with leaves of the run. */
    archives: uuid('archives').array().notNull(),
  },
  (t) => [
    primaryKey({ name: 'detached_leaves_pkey', columns: [t.detachment, t.logId, t.fromLeaf] }),
    index('detached_leaves_log').on(t.logId, t.fromLeaf),
    index('detached_leaves_offset').on(t.logId, t.fromOffset),
    check('detached_leaves_range', sql`${t.toLeaf} > ${t.fromLeaf} and ${t.toOffset} > ${t.fromOffset}`),
  ],
)

/** Leaf hashes of a day that went away, of blocks of 256 leaves that its rows alone do not fill, or in which a checkpoint ends. */
export const detachedHashes = pgTable(
  'detached_hashes',
  {
    detachment: int8('detachment')
      .notNull()
      .references(() => detachedPartitions.sequence),
    logId: integer('log_id').notNull(),
    fromLeaf: int8('from_leaf').notNull(),
    /** 32 bytes of each leaf from there on; never of two blocks. */
    hashes: bytea('hashes').notNull(),
  },
  (t) => [
    primaryKey({ name: 'detached_hashes_pkey', columns: [t.detachment, t.logId, t.fromLeaf] }),
    index('detached_hashes_log').on(t.logId, t.fromLeaf),
    check(
      'detached_hashes_length',
      sql`octet_length(${t.hashes}) between 32 and 8192 and octet_length(${t.hashes}) % 32 = 0`,
    ),
  ],
)

/** What became of a note at a place outside the database, once for each place, log and size. Append-only. */
export const notePlacements = pgTable(
  'note_placements',
  {
    place: text('place').notNull(),
    logId: integer('log_id')
      .notNull()
      .references(() => partitionLogs.id),
    size: int8('size').notNull(),
    checkpointId: uuid('checkpoint_id')
      .notNull()
      .references(() => checkpoints.id),
    outcome: text('outcome').notNull(),
    detail: text('detail'),
    /** The witness's signature lines. */
    cosignatures: text('cosignatures'),
    placedAt: time('placed_at').notNull().default(sql`clock_timestamp()`),
  },
  (t) => [
    primaryKey({ name: 'note_placements_pkey', columns: [t.place, t.logId, t.size] }),
    check('note_placements_outcome', sql`${t.outcome} in ('held', 'superseded', 'conflict')`),
    index('note_placements_log_size').on(t.logId, t.size),
    index('note_placements_place_time').on(t.place, t.placedAt),
    index('note_placements_conflicts').on(t.place).where(sql`${t.outcome} = 'conflict'`),
  ],
)

/** What went wrong when notes were sent; without secrets. Append-only. */
export const noteFailures = pgTable(
  'note_failures',
  {
    sequence: int8('sequence').primaryKey().generatedAlwaysAsIdentity(),
    place: text('place').notNull(),
    logId: integer('log_id')
      .notNull()
      .references(() => partitionLogs.id),
    size: int8('size').notNull(),
    code: text('code').notNull(),
    detail: text('detail').notNull(),
    failedAt: time('failed_at').notNull().default(sql`clock_timestamp()`),
  },
  (t) => [index('note_failures_place').on(t.place, t.sequence)],
)

/**
 * Notes that are not what their rows say, found out when they were to be sent: they are not, and keep no other back. Append-only.
 * Refers to no row, so that who takes a forged one away can.
 */
export const noteFlaws = pgTable(
  'note_flaws',
  {
    sequence: int8('sequence').notNull().generatedAlwaysAsIdentity(),
    place: text('place').notNull(),
    checkpointId: uuid('checkpoint_id').notNull(),
    logId: integer('log_id').notNull(),
    size: int8('size').notNull(),
    detail: text('detail').notNull(),
    foundAt: time('found_at').notNull().default(sql`clock_timestamp()`),
  },
  (t) => [
    primaryKey({ name: 'note_flaws_pkey', columns: [t.place, t.checkpointId, t.logId] }),
    index('note_flaws_place').on(t.place, t.sequence),
  ],
)
