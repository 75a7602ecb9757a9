-- What the migrations make, as the catalog shows it: here a change shows as a diff. Written by
-- `vitest run test/store/schema.test.ts --update`; not run by anything.

-- tables
table archive_files
  archive_id uuid not null
  log_id integer not null
  kind text not null
  ordinal integer not null
  from_leaf bigint not null
  to_leaf bigint not null
  from_offset bigint not null
  to_offset bigint not null
  lines integer not null
  name text not null
  bytes bigint not null
  unpacked_bytes bigint not null
  sha256 bytea not null
  created_at timestamp with time zone not null default clock_timestamp()
table archive_logs
  archive_id uuid not null
  log_id integer not null
  from_leaf bigint not null
  to_leaf bigint not null
  from_offset bigint not null
  to_offset bigint not null
  root_hash bytea not null
table archive_results
  archive_id uuid not null
  status text not null
  manifest_sha256 bytea
  error_code text
  error_detail text
  finished_at timestamp with time zone not null default clock_timestamp()
table archives
  id uuid not null
  sequence bigint not null generated always as identity
  workflow_id text not null
  request json not null
  place text not null
  checkpoint_sequence bigint not null
  created_at timestamp with time zone not null default clock_timestamp()
  created_by text not null
table checkpoint_positions
  checkpoint_id uuid not null
  log_id integer not null
  partition integer not null
  "offset" bigint not null
  size bigint not null
  root_hash bytea not null
  note text
table checkpoints
  id uuid not null
  sequence bigint not null generated always as identity
  topic text not null
  partition integer
  "offset" bigint
  created_at timestamp with time zone not null default clock_timestamp()
  created_by text not null
table dead_letters
  log_id integer not null
  "offset" bigint not null
  last_offset bigint not null
  leaf_index bigint not null
  code text not null
  detail text not null
  key bytea
  value bytea
  headers bytea not null
  kafka_timestamp bigint not null
  leaf_hash bytea not null
  ingested_at timestamp with time zone not null
table detached_hashes
  detachment bigint not null
  log_id integer not null
  from_leaf bigint not null
  hashes bytea not null
table detached_leaves
  detachment bigint not null
  log_id integer not null
  from_leaf bigint not null
  to_leaf bigint not null
  from_offset bigint not null
  to_offset bigint not null
  archives uuid[] not null
table detached_partitions
  sequence bigint not null generated always as identity
  day date not null
  name text not null
  rows bigint not null
  reason text not null
  detached_at timestamp with time zone not null default clock_timestamp()
  detached_by text not null
table events partition by RANGE (ingested_at)
  "offset" bigint not null
  leaf_index bigint not null
  event_time bigint not null
  kafka_timestamp bigint not null
  ingested_at timestamp with time zone not null
  log_id integer not null
  id uuid not null
  type text not null
  source text not null
  tenant_id text
  classification text not null
  policy_tags text[] not null
  key bytea
  value bytea not null
  headers bytea not null
  content_hash bytea not null
  leaf_hash bytea not null
table gaps
  log_id integer not null
  from_offset bigint not null
  to_offset bigint not null
  leaf_index bigint not null
  leaf_hash bytea not null
  ingested_at timestamp with time zone not null
table legal_holds
  sequence bigint not null generated always as identity
  scope text not null
  subject text not null
  held boolean not null
  reason text not null
  created_at timestamp with time zone not null default clock_timestamp()
  created_by text not null
table log_nodes
  log_id integer not null
  level smallint not null
  index bigint not null
  hash bytea not null
  end_offset bigint not null
  bytes bigint not null
  ingested_at timestamp with time zone not null
table note_failures
  sequence bigint not null generated always as identity
  place text not null
  log_id integer not null
  size bigint not null
  code text not null
  detail text not null
  failed_at timestamp with time zone not null default clock_timestamp()
table note_flaws
  sequence bigint not null generated always as identity
  place text not null
  checkpoint_id uuid not null
  log_id integer not null
  size bigint not null
  detail text not null
  found_at timestamp with time zone not null default clock_timestamp()
table note_placements
  place text not null
  log_id integer not null
  size bigint not null
  checkpoint_id uuid not null
  outcome text not null
  detail text
  cosignatures text
  placed_at timestamp with time zone not null default clock_timestamp()
table operator_actions
  id bigint not null generated always as identity
  actor text not null
  action text not null
  target text not null
  outcome text not null
  request_id text not null
  detail json
  created_at timestamp with time zone not null default clock_timestamp()
table partition_logs with (fillfactor=50)
  id integer not null generated always as identity
  topic text not null
  partition integer not null
  topic_id uuid not null
  incarnation integer not null
  leader_epoch integer not null
  start_offset bigint not null
  next_offset bigint not null
  size bigint not null
  bytes bigint not null
  frontier bytea not null
  last_ingested_at timestamp with time zone
  created_at timestamp with time zone not null
table producer_keys
  sequence bigint not null generated always as identity
  source text not null
  name text not null
  key_id text not null
  public_key bytea not null
  valid_from timestamp with time zone not null
  valid_until timestamp with time zone
  created_at timestamp with time zone not null default clock_timestamp()
  created_by text not null
table replay_logs
  plan_id uuid not null
  log_id integer not null
  partition integer not null
  from_offset bigint not null
  to_offset bigint not null
  planned bigint not null
  target_partition integer not null
  started boolean not null default false
  cursor bigint not null
  events bigint not null default 0
  root_hash bytea
  updated_at timestamp with time zone not null default clock_timestamp()
table replays
  plan_id uuid not null
  sequence bigint not null generated always as identity
  replay_id text not null
  plan_hash text not null
  request json not null
  topic text not null
  target_topic text not null
  target_topic_id uuid not null
  filters json not null
  checkpoint_id uuid
  created_at timestamp with time zone not null default clock_timestamp()
  created_by text not null
  status text not null
  receipt json
  error_code text
  error_detail text
  updated_at timestamp with time zone not null default clock_timestamp()
table signature_policies
  sequence bigint not null generated always as identity
  source text not null
  policy text not null
  created_at timestamp with time zone not null default clock_timestamp()
  created_by text not null
table signing_keys
  sequence bigint not null generated always as identity
  name text not null
  key_id text not null
  public_key bytea not null
  signs_from timestamp with time zone not null
  signs_until timestamp with time zone
  recorded_at timestamp with time zone not null default clock_timestamp()
table verification_parts
  verification_id uuid not null
  log_id integer not null
  verdict text not null
  report json not null
  finished_at timestamp with time zone not null default clock_timestamp()
table verification_results
  verification_id uuid not null
  verdict text not null
  error_code text
  error_detail text
  finished_at timestamp with time zone not null default clock_timestamp()
table verifications
  id uuid not null
  sequence bigint not null generated always as identity
  kind text not null
  workflow_id text not null
  request json not null
  parts integer not null
  total bigint not null
  created_at timestamp with time zone not null default clock_timestamp()
  created_by text not null

-- constraints
archive_files archive_files_archive_id_archives_id_fk FOREIGN KEY (archive_id) REFERENCES archives(id)
archive_files archive_files_kind CHECK ((kind = ANY (ARRAY['leaves'::text, 'checkpoints'::text])))
archive_files archive_files_log_id_partition_logs_id_fk FOREIGN KEY (log_id) REFERENCES partition_logs(id)
archive_files archive_files_pkey PRIMARY KEY (archive_id, log_id, kind, ordinal)
archive_files archive_files_sha256 CHECK ((octet_length(sha256) = 32))
archive_logs archive_logs_archive_id_archives_id_fk FOREIGN KEY (archive_id) REFERENCES archives(id)
archive_logs archive_logs_log_id_partition_logs_id_fk FOREIGN KEY (log_id) REFERENCES partition_logs(id)
archive_logs archive_logs_pkey PRIMARY KEY (archive_id, log_id)
archive_logs archive_logs_range CHECK (((to_leaf >= from_leaf) AND (to_offset >= from_offset)))
archive_logs archive_logs_root_hash CHECK ((octet_length(root_hash) = 32))
archive_results archive_results_archive_id_archives_id_fk FOREIGN KEY (archive_id) REFERENCES archives(id)
archive_results archive_results_manifest CHECK (((status = 'verified'::text) = (manifest_sha256 IS NOT NULL)))
archive_results archive_results_pkey PRIMARY KEY (archive_id)
archive_results archive_results_status CHECK ((status = ANY (ARRAY['verified'::text, 'cancelled'::text, 'failed'::text])))
archives archives_pkey PRIMARY KEY (id)
archives archives_sequence_key UNIQUE (sequence)
checkpoint_positions checkpoint_positions_checkpoint_id_checkpoints_id_fk FOREIGN KEY (checkpoint_id) REFERENCES checkpoints(id)
checkpoint_positions checkpoint_positions_log_id_partition_logs_id_fk FOREIGN KEY (log_id) REFERENCES partition_logs(id)
checkpoint_positions checkpoint_positions_note CHECK (((octet_length(note) <= 1000000) AND (size >= 0) AND ("offset" >= 0))) NOT VALID
checkpoint_positions checkpoint_positions_pkey PRIMARY KEY (checkpoint_id, log_id)
checkpoint_positions checkpoint_positions_root_hash CHECK ((octet_length(root_hash) = 32))
checkpoints checkpoints_pkey PRIMARY KEY (id)
checkpoints checkpoints_sequence_key UNIQUE (sequence)
dead_letters dead_letters_leaf_hash CHECK ((octet_length(leaf_hash) = 32))
dead_letters dead_letters_offsets CHECK ((last_offset >= "offset"))
dead_letters dead_letters_pkey PRIMARY KEY (log_id, "offset")
detached_hashes detached_hashes_detachment_detached_partitions_sequence_fk FOREIGN KEY (detachment) REFERENCES detached_partitions(sequence)
detached_hashes detached_hashes_length CHECK ((((octet_length(hashes) >= 32) AND (octet_length(hashes) <= 8192)) AND ((octet_length(hashes) % 32) = 0)))
detached_hashes detached_hashes_pkey PRIMARY KEY (detachment, log_id, from_leaf)
detached_leaves detached_leaves_detachment_detached_partitions_sequence_fk FOREIGN KEY (detachment) REFERENCES detached_partitions(sequence)
detached_leaves detached_leaves_pkey PRIMARY KEY (detachment, log_id, from_leaf)
detached_leaves detached_leaves_range CHECK (((to_leaf > from_leaf) AND (to_offset > from_offset)))
detached_partitions detached_partitions_pkey PRIMARY KEY (sequence)
gaps gaps_leaf_hash CHECK ((octet_length(leaf_hash) = 32))
gaps gaps_offsets CHECK ((to_offset > from_offset))
gaps gaps_pkey PRIMARY KEY (log_id, from_offset)
legal_holds legal_holds_pkey PRIMARY KEY (sequence)
legal_holds legal_holds_scope CHECK ((scope = ANY (ARRAY['topic'::text, 'tenant'::text])))
log_nodes log_nodes_hash CHECK ((octet_length(hash) = 32))
log_nodes log_nodes_level CHECK (((level > 0) AND (((level)::integer % 8) = 0)))
log_nodes log_nodes_pkey PRIMARY KEY (log_id, level, index)
note_failures note_failures_log_id_partition_logs_id_fk FOREIGN KEY (log_id) REFERENCES partition_logs(id)
note_failures note_failures_pkey PRIMARY KEY (sequence)
note_flaws note_flaws_pkey PRIMARY KEY (place, checkpoint_id, log_id)
note_placements note_placements_checkpoint_id_checkpoints_id_fk FOREIGN KEY (checkpoint_id) REFERENCES checkpoints(id)
note_placements note_placements_log_id_partition_logs_id_fk FOREIGN KEY (log_id) REFERENCES partition_logs(id)
note_placements note_placements_outcome CHECK ((outcome = ANY (ARRAY['held'::text, 'superseded'::text, 'conflict'::text])))
note_placements note_placements_pkey PRIMARY KEY (place, log_id, size)
operator_actions operator_actions_pkey PRIMARY KEY (id)
partition_logs partition_logs_frontier CHECK ((octet_length(frontier) = (32 * bit_count((size)::bit(64)))))
partition_logs partition_logs_incarnation_key UNIQUE (topic, partition, incarnation)
partition_logs partition_logs_partition CHECK (((partition >= 0) AND (incarnation >= 1)))
partition_logs partition_logs_pkey PRIMARY KEY (id)
partition_logs partition_logs_size CHECK (((size >= 0) AND (size <= (next_offset - start_offset))))
partition_logs partition_logs_start CHECK (((start_offset >= 0) AND (next_offset >= start_offset)))
producer_keys producer_keys_key_id CHECK ((key_id ~ '^[0-9a-f]{8}$'::text))
producer_keys producer_keys_pkey PRIMARY KEY (sequence)
producer_keys producer_keys_public_key CHECK ((octet_length(public_key) = 32))
producer_keys producer_keys_validity CHECK ((valid_until > valid_from))
replay_logs replay_logs_log_id_partition_logs_id_fk FOREIGN KEY (log_id) REFERENCES partition_logs(id)
replay_logs replay_logs_pkey PRIMARY KEY (plan_id, log_id)
replay_logs replay_logs_plan_id_replays_plan_id_fk FOREIGN KEY (plan_id) REFERENCES replays(plan_id)
replays replays_checkpoint_id_checkpoints_id_fk FOREIGN KEY (checkpoint_id) REFERENCES checkpoints(id)
replays replays_pkey PRIMARY KEY (plan_id)
replays replays_replay_id_key UNIQUE (replay_id)
replays replays_sequence_key UNIQUE (sequence)
replays replays_status CHECK ((status = ANY (ARRAY['planning'::text, 'running'::text, 'paused'::text, 'completed'::text, 'failed'::text, 'cancelled'::text])))
signature_policies signature_policies_pkey PRIMARY KEY (sequence)
signature_policies signature_policies_policy CHECK ((policy = ANY (ARRAY['ignore'::text, 'verify'::text, 'require'::text])))
signing_keys signing_keys_key_id CHECK ((key_id ~ '^[0-9a-f]{8}$'::text))
signing_keys signing_keys_period CHECK ((signs_until > signs_from))
signing_keys signing_keys_pkey PRIMARY KEY (sequence)
signing_keys signing_keys_public_key CHECK ((octet_length(public_key) = 32))
verification_parts verification_parts_pkey PRIMARY KEY (verification_id, log_id)
verification_parts verification_parts_verdict CHECK ((verdict = ANY (ARRAY['intact'::text, 'damaged'::text])))
verification_parts verification_parts_verification_id_verifications_id_fk FOREIGN KEY (verification_id) REFERENCES verifications(id)
verification_results verification_results_pkey PRIMARY KEY (verification_id)
verification_results verification_results_verdict CHECK ((verdict = ANY (ARRAY['intact'::text, 'damaged'::text, 'cancelled'::text, 'failed'::text])))
verification_results verification_results_verification_id_verifications_id_fk FOREIGN KEY (verification_id) REFERENCES verifications(id)
verifications verifications_kind CHECK ((kind = ANY (ARRAY['log'::text, 'replay'::text])))
verifications verifications_pkey PRIMARY KEY (id)
verifications verifications_sequence_key UNIQUE (sequence)

-- indexes
CREATE UNIQUE INDEX archive_files_pkey ON public.archive_files USING btree (archive_id, log_id, kind, ordinal)
CREATE INDEX archive_logs_log ON public.archive_logs USING btree (log_id, from_leaf)
CREATE UNIQUE INDEX archive_logs_pkey ON public.archive_logs USING btree (archive_id, log_id)
CREATE UNIQUE INDEX archive_results_pkey ON public.archive_results USING btree (archive_id)
CREATE UNIQUE INDEX archives_pkey ON public.archives USING btree (id)
CREATE UNIQUE INDEX archives_sequence_key ON public.archives USING btree (sequence)
CREATE INDEX checkpoint_positions_log_size ON public.checkpoint_positions USING btree (log_id, size)
CREATE UNIQUE INDEX checkpoint_positions_pkey ON public.checkpoint_positions USING btree (checkpoint_id, log_id)
CREATE UNIQUE INDEX checkpoints_pkey ON public.checkpoints USING btree (id)
CREATE UNIQUE INDEX checkpoints_sequence_key ON public.checkpoints USING btree (sequence)
CREATE INDEX checkpoints_topic_sequence ON public.checkpoints USING btree (topic, sequence)
CREATE UNIQUE INDEX dead_letters_pkey ON public.dead_letters USING btree (log_id, "offset")
CREATE INDEX detached_hashes_log ON public.detached_hashes USING btree (log_id, from_leaf)
CREATE UNIQUE INDEX detached_hashes_pkey ON public.detached_hashes USING btree (detachment, log_id, from_leaf)
CREATE INDEX detached_leaves_log ON public.detached_leaves USING btree (log_id, from_leaf)
CREATE INDEX detached_leaves_offset ON public.detached_leaves USING btree (log_id, from_offset)
CREATE UNIQUE INDEX detached_leaves_pkey ON public.detached_leaves USING btree (detachment, log_id, from_leaf)
CREATE UNIQUE INDEX detached_partitions_pkey ON public.detached_partitions USING btree (sequence)
CREATE UNIQUE INDEX gaps_pkey ON public.gaps USING btree (log_id, from_offset)
CREATE UNIQUE INDEX legal_holds_pkey ON public.legal_holds USING btree (sequence)
CREATE INDEX legal_holds_subject ON public.legal_holds USING btree (scope, subject, sequence)
CREATE INDEX log_nodes_end_offset ON public.log_nodes USING btree (log_id, end_offset) WHERE (level = 8)
CREATE UNIQUE INDEX log_nodes_pkey ON public.log_nodes USING btree (log_id, level, index)
CREATE UNIQUE INDEX note_failures_pkey ON public.note_failures USING btree (sequence)
CREATE INDEX note_failures_place ON public.note_failures USING btree (place, sequence)
CREATE UNIQUE INDEX note_flaws_pkey ON public.note_flaws USING btree (place, checkpoint_id, log_id)
CREATE INDEX note_flaws_place ON public.note_flaws USING btree (place, sequence)
CREATE INDEX note_placements_conflicts ON public.note_placements USING btree (place) WHERE (outcome = 'conflict'::text)
CREATE INDEX note_placements_log_size ON public.note_placements USING btree (log_id, size)
CREATE UNIQUE INDEX note_placements_pkey ON public.note_placements USING btree (place, log_id, size)
CREATE INDEX note_placements_place_time ON public.note_placements USING btree (place, placed_at)
CREATE INDEX operator_actions_created_at ON public.operator_actions USING btree (created_at)
CREATE UNIQUE INDEX operator_actions_pkey ON public.operator_actions USING btree (id)
CREATE UNIQUE INDEX partition_logs_incarnation_key ON public.partition_logs USING btree (topic, partition, incarnation)
CREATE UNIQUE INDEX partition_logs_pkey ON public.partition_logs USING btree (id)
CREATE UNIQUE INDEX producer_keys_pkey ON public.producer_keys USING btree (sequence)
CREATE INDEX producer_keys_source ON public.producer_keys USING btree (source, name, key_id, sequence)
CREATE INDEX replay_logs_log ON public.replay_logs USING btree (log_id, from_offset)
CREATE UNIQUE INDEX replay_logs_pkey ON public.replay_logs USING btree (plan_id, log_id)
CREATE UNIQUE INDEX replays_pkey ON public.replays USING btree (plan_id)
CREATE UNIQUE INDEX replays_replay_id_key ON public.replays USING btree (replay_id)
CREATE UNIQUE INDEX replays_sequence_key ON public.replays USING btree (sequence)
CREATE UNIQUE INDEX signature_policies_pkey ON public.signature_policies USING btree (sequence)
CREATE INDEX signature_policies_source ON public.signature_policies USING btree (source, sequence)
CREATE UNIQUE INDEX signing_keys_pkey ON public.signing_keys USING btree (sequence)
CREATE INDEX verification_parts_log ON public.verification_parts USING btree (log_id, finished_at)
CREATE UNIQUE INDEX verification_parts_pkey ON public.verification_parts USING btree (verification_id, log_id)
CREATE UNIQUE INDEX verification_results_pkey ON public.verification_results USING btree (verification_id)
CREATE UNIQUE INDEX verifications_pkey ON public.verifications USING btree (id)
CREATE UNIQUE INDEX verifications_sequence_key ON public.verifications USING btree (sequence)

-- triggers (A: always)
A CREATE TRIGGER reject_change BEFORE DELETE OR UPDATE OR TRUNCATE ON public.archive_files FOR EACH STATEMENT EXECUTE FUNCTION reject_change()
A CREATE TRIGGER reject_change BEFORE DELETE OR UPDATE OR TRUNCATE ON public.archive_logs FOR EACH STATEMENT EXECUTE FUNCTION reject_change()
A CREATE TRIGGER reject_change BEFORE DELETE OR UPDATE OR TRUNCATE ON public.archive_results FOR EACH STATEMENT EXECUTE FUNCTION reject_change()
A CREATE TRIGGER reject_change BEFORE DELETE OR UPDATE OR TRUNCATE ON public.archives FOR EACH STATEMENT EXECUTE FUNCTION reject_change()
A CREATE TRIGGER reject_change BEFORE DELETE OR UPDATE OR TRUNCATE ON public.checkpoint_positions FOR EACH STATEMENT EXECUTE FUNCTION reject_change()
A CREATE TRIGGER reject_change BEFORE DELETE OR UPDATE OR TRUNCATE ON public.checkpoints FOR EACH STATEMENT EXECUTE FUNCTION reject_change()
A CREATE TRIGGER reject_change BEFORE DELETE OR UPDATE OR TRUNCATE ON public.dead_letters FOR EACH STATEMENT EXECUTE FUNCTION reject_change()
A CREATE TRIGGER reject_change BEFORE DELETE OR UPDATE OR TRUNCATE ON public.detached_hashes FOR EACH STATEMENT EXECUTE FUNCTION reject_change()
A CREATE TRIGGER reject_change BEFORE DELETE OR UPDATE OR TRUNCATE ON public.detached_leaves FOR EACH STATEMENT EXECUTE FUNCTION reject_change()
A CREATE TRIGGER reject_change BEFORE DELETE OR UPDATE OR TRUNCATE ON public.detached_partitions FOR EACH STATEMENT EXECUTE FUNCTION reject_change()
A CREATE TRIGGER reject_change BEFORE DELETE OR UPDATE OR TRUNCATE ON public.events FOR EACH STATEMENT EXECUTE FUNCTION reject_change()
A CREATE TRIGGER reject_change BEFORE DELETE OR UPDATE OR TRUNCATE ON public.gaps FOR EACH STATEMENT EXECUTE FUNCTION reject_change()
A CREATE TRIGGER reject_change BEFORE DELETE OR UPDATE OR TRUNCATE ON public.legal_holds FOR EACH STATEMENT EXECUTE FUNCTION reject_change()
A CREATE TRIGGER reject_change BEFORE DELETE OR UPDATE OR TRUNCATE ON public.log_nodes FOR EACH STATEMENT EXECUTE FUNCTION reject_change()
A CREATE TRIGGER reject_change BEFORE DELETE OR UPDATE OR TRUNCATE ON public.note_failures FOR EACH STATEMENT EXECUTE FUNCTION reject_change()
A CREATE TRIGGER reject_change BEFORE DELETE OR UPDATE OR TRUNCATE ON public.note_flaws FOR EACH STATEMENT EXECUTE FUNCTION reject_change()
A CREATE TRIGGER reject_change BEFORE DELETE OR UPDATE OR TRUNCATE ON public.note_placements FOR EACH STATEMENT EXECUTE FUNCTION reject_change()
A CREATE TRIGGER reject_change BEFORE DELETE OR UPDATE OR TRUNCATE ON public.operator_actions FOR EACH STATEMENT EXECUTE FUNCTION reject_change()
A CREATE TRIGGER grow_log BEFORE UPDATE ON public.partition_logs FOR EACH ROW EXECUTE FUNCTION grow_log()
A CREATE TRIGGER open_log BEFORE INSERT ON public.partition_logs FOR EACH ROW EXECUTE FUNCTION open_log()
A CREATE TRIGGER reject_change BEFORE DELETE OR TRUNCATE ON public.partition_logs FOR EACH STATEMENT EXECUTE FUNCTION reject_change()
A CREATE TRIGGER reject_change BEFORE DELETE OR UPDATE OR TRUNCATE ON public.producer_keys FOR EACH STATEMENT EXECUTE FUNCTION reject_change()
A CREATE TRIGGER advance_replay BEFORE UPDATE ON public.replay_logs FOR EACH ROW EXECUTE FUNCTION advance_replay()
A CREATE TRIGGER reject_change BEFORE DELETE OR TRUNCATE ON public.replay_logs FOR EACH STATEMENT EXECUTE FUNCTION reject_change()
A CREATE TRIGGER keep_plan BEFORE UPDATE ON public.replays FOR EACH ROW EXECUTE FUNCTION keep_plan()
A CREATE TRIGGER reject_change BEFORE DELETE OR TRUNCATE ON public.replays FOR EACH STATEMENT EXECUTE FUNCTION reject_change()
A CREATE TRIGGER reject_change BEFORE DELETE OR UPDATE OR TRUNCATE ON public.signature_policies FOR EACH STATEMENT EXECUTE FUNCTION reject_change()
A CREATE TRIGGER reject_change BEFORE DELETE OR UPDATE OR TRUNCATE ON public.signing_keys FOR EACH STATEMENT EXECUTE FUNCTION reject_change()
A CREATE TRIGGER reject_change BEFORE DELETE OR UPDATE OR TRUNCATE ON public.verification_parts FOR EACH STATEMENT EXECUTE FUNCTION reject_change()
A CREATE TRIGGER reject_change BEFORE DELETE OR UPDATE OR TRUNCATE ON public.verification_results FOR EACH STATEMENT EXECUTE FUNCTION reject_change()
A CREATE TRIGGER reject_change BEFORE DELETE OR UPDATE OR TRUNCATE ON public.verifications FOR EACH STATEMENT EXECUTE FUNCTION reject_change()

-- functions
CREATE OR REPLACE FUNCTION public.advance_replay()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
  IF (NEW.plan_id, NEW.log_id, NEW.partition, NEW.from_offset, NEW.to_offset, NEW.planned, NEW.target_partition)
     IS DISTINCT FROM
     (OLD.plan_id, OLD.log_id, OLD.partition, OLD.from_offset, OLD.to_offset, OLD.planned, OLD.target_partition) THEN
    RAISE EXCEPTION 'the plan of a replay never changes' USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  IF NEW.cursor < OLD.cursor OR NEW.events < OLD.events OR (OLD.started AND NOT NEW.started) THEN
    RAISE EXCEPTION 'what a replay has done only grows' USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  RETURN NEW;
END
$function$
CREATE OR REPLACE FUNCTION public.archived_ranges(log integer)
 RETURNS int8multirange
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  SELECT coalesce(range_agg(int8range(l.from_leaf, l.to_leaf)), '{}'::int8multirange)
    FROM public.archive_logs l
    JOIN public.archive_results r ON r.archive_id = l.archive_id AND r.status = 'verified'
   WHERE l.log_id = log AND l.from_leaf < l.to_leaf
$function$
CREATE OR REPLACE FUNCTION public.causation_candidate(value bytea)
 RETURNS uuid
 LANGUAGE plpgsql
 IMMUTABLE PARALLEL SAFE STRICT COST 10000
AS $function$
DECLARE
  place pg_catalog.int4 := position('\x22636175736174696f6e496422'::pg_catalog.bytea in value);
  behind pg_catalog.bytea;
  named pg_catalog.text;
BEGIN
  IF place > 0 AND position('\x5c75'::pg_catalog.bytea in value) = 0 THEN
    behind := substring(value from place + 13);
    IF position('\x22636175736174696f6e496422'::pg_catalog.bytea in behind) = 0 THEN
      named := pg_catalog.encode(substring(behind for 39), 'escape');
      IF named LIKE ':"________-____-____-____-____________"'
         AND pg_catalog.translate(named, '0123456789abcdefABCDEF-', '') = ':""' THEN
        RETURN pg_catalog.substr(named, 3, 36)::pg_catalog.uuid;
      END IF;
    END IF;
  END IF;
  RETURN public.causation_of(value);
END
$function$
CREATE OR REPLACE FUNCTION public.causation_of(value bytea)
 RETURNS uuid
 LANGUAGE plpgsql
 IMMUTABLE PARALLEL SAFE STRICT COST 10000
AS $function$
DECLARE
  named pg_catalog.text;
BEGIN
  named := (pg_catalog.replace(pg_catalog.convert_from(value, 'UTF8'), '\u0000', '\ufffd')::pg_catalog.json
            -> 'metadata') ->> 'causationId';
  IF named ~ '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$' THEN
    RETURN named::pg_catalog.uuid;
  END IF;
  RETURN NULL;
EXCEPTION
  WHEN data_exception OR program_limit_exceeded THEN
    RETURN NULL;
END
$function$
CREATE OR REPLACE FUNCTION public.create_causation_index(partition text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
  EXECUTE format('CREATE INDEX %I ON public.%I (public.causation_candidate(value)) '
                 'WHERE position(''\x636175736174696f6e4964''::bytea in value) > 0 '
                 'OR position(''\x5c75''::bytea in value) > 0', partition || '_causation', partition);
END
$function$
CREATE OR REPLACE FUNCTION public.create_events_partition(day date)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
  name text := 'events_' || to_char(day, 'YYYYMMDD');
BEGIN
  IF EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass('public.' || name)
                AND inhparent = 'public.events'::regclass) THEN
    RETURN false;
  END IF;
  PERFORM pg_advisory_xact_lock(1937010286, 1);
  IF EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass('public.' || name)
                AND inhparent = 'public.events'::regclass) THEN
    RETURN false;
  END IF;
  EXECUTE format('CREATE TABLE public.%I (LIKE public.events)', name);
  EXECUTE format('CREATE UNIQUE INDEX %I ON public.%I (log_id, "offset")', name || '_log_offset', name);
  EXECUTE format('CREATE INDEX %I ON public.%I (id)', name || '_id', name);
  PERFORM public.create_causation_index(name);
  EXECUTE format('CREATE TRIGGER reject_change BEFORE UPDATE OR DELETE OR TRUNCATE ON public.%I '
                 'FOR EACH STATEMENT EXECUTE FUNCTION public.reject_change()', name);
  -- Its own, not cloned from the parent: DETACH drops clones.
  EXECUTE format('CREATE TRIGGER reject_row_change BEFORE UPDATE OR DELETE ON public.%I '
                 'FOR EACH ROW EXECUTE FUNCTION public.reject_change()', name);
  EXECUTE format('ALTER TABLE public.%I ENABLE ALWAYS TRIGGER reject_change, '
                 'ENABLE ALWAYS TRIGGER reject_row_change', name);
  EXECUTE format('ALTER TABLE public.events ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)', name,
                 to_char(day, 'YYYY-MM-DD') || ' 00:00:00+00', to_char(day + 1, 'YYYY-MM-DD') || ' 00:00:00+00');
  RETURN true;
END
$function$
CREATE OR REPLACE FUNCTION public.detach_events_partition(day date, reason text)
 RETURNS bigint
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
  partition text := 'events_' || to_char(day, 'YYYYMMDD');
  found bigint;
  tenants text[];
  topics text[];
  held text;
  needed text;
  missing record;
  made bigint;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'a day can be detached only in a transaction that is read committed'
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'ISOLATION';
  END IF;
  IF day IS NULL OR coalesce(reason, '') = '' THEN
    RAISE EXCEPTION 'a day and a reason are needed' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF day > (clock_timestamp() AT TIME ZONE 'UTC')::date - 3 THEN
    RAISE EXCEPTION 'the day % is too young: ingest may still make its partition', day
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'TOO_YOUNG';
  END IF;
  IF NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass('public.' || quote_ident(partition))
                    AND inhparent = 'public.events'::regclass) THEN
    RAISE EXCEPTION 'there is no partition for the day %', day
      USING ERRCODE = 'undefined_table', HINT = 'NO_PARTITION';
  END IF;
  -- Nobody adds a row between the look and the deed.
  EXECUTE format('LOCK TABLE public.%I IN SHARE MODE', partition);
  EXECUTE format('SELECT count(*) FROM public.%I', partition) INTO found;
  IF found = 0 THEN
    RAISE EXCEPTION 'the partition of the day % has no event: drop it, since a record of its own would hide the one that tells what it had', day
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'EMPTY';
  END IF;
  EXECUTE format('SELECT ARRAY(SELECT DISTINCT tenant_id FROM public.%I)', partition) INTO tenants;
  EXECUTE format('SELECT ARRAY(SELECT DISTINCT l.topic FROM public.partition_logs l
                                WHERE EXISTS (SELECT FROM public.%I e WHERE e.log_id = l.id))', partition) INTO topics;
  held := public.hold_on(tenants, topics);
  IF held IS NOT NULL THEN
    RAISE EXCEPTION 'a legal hold on the % keeps the day %', held, day
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'HELD';
  END IF;
  EXECUTE format($sql$
    WITH ranges AS MATERIALIZED (
      SELECT l.id, public.archived_ranges(l.id) AS archived FROM public.partition_logs l)
    SELECT coalesce(l.topic, 'log ' || e.log_id) AS topic, l.partition, l.incarnation, count(*) AS leaves,
           min(e."offset") AS first
      FROM public.%I e LEFT JOIN public.partition_logs l ON l.id = e.log_id LEFT JOIN ranges r ON r.id = e.log_id
     WHERE NOT coalesce(r.archived, '{}') @> e.leaf_index
     GROUP BY e.log_id, l.topic, l.partition, l.incarnation ORDER BY e.log_id LIMIT 1$sql$, partition) INTO missing;
  IF missing.leaves IS NOT NULL THEN
    RAISE EXCEPTION 'no verified archive holds % events of %/%, incarnation %, from offset % on, of the day %', missing.leaves,
      missing.topic, missing.partition, missing.incarnation, missing.first, day
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'NOT_ARCHIVED';
  END IF;
  INSERT INTO public.detached_partitions (day, name, rows, reason, detached_by)
  VALUES (day, partition, found, reason, session_user) RETURNING sequence INTO made;
  IF public.record_detached_leaves(made, partition) <> found THEN
    RAISE EXCEPTION 'several rows of the day % claim one leaf: verify the log', day
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'DAMAGED';
  END IF;
  -- A hold that was accepted by now keeps the day; one that comes later waits for the end of this transaction. So does a
  -- checkpoint.
  LOCK TABLE public.legal_holds, public.checkpoint_positions IN SHARE MODE;
  held := public.hold_on(tenants, topics);
  IF held IS NOT NULL THEN
    RAISE EXCEPTION 'a legal hold on the % keeps the day %', held, day
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'HELD';
  END IF;
  WITH newest AS (
    SELECT DISTINCT ON (l.topic, l.partition) l.id, l.topic, l.partition, l.size FROM public.partition_logs l
     ORDER BY l.topic, l.partition, l.incarnation DESC),
  tails AS (
    SELECT n.*, n.size AS until FROM newest n
    UNION ALL
    SELECT n.*, p.size FROM newest n
     CROSS JOIN LATERAL (SELECT c.size FROM public.checkpoint_positions c WHERE c.log_id = n.id AND c.note IS NOT NULL
                          ORDER BY c.size DESC LIMIT 1) p)
  SELECT t.topic || '/' || t.partition INTO needed FROM tails t
   WHERE EXISTS (SELECT FROM public.detached_leaves d WHERE d.detachment = made
                    AND d.log_id = t.id AND d.from_leaf < t.until
                    AND d.to_leaf > (t.until - 1) - (t.until - 1) % 256)
   ORDER BY 1 LIMIT 1;
  IF needed IS NOT NULL THEN
    RAISE EXCEPTION 'the root of % needs leaves of the day %: its end, or its largest signed checkpoint, is fewer than 256 leaves away',
      needed, day USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'NEEDED';
  END IF;
  -- Of each position the last run that begins before it: runs of one detachment follow each other. Milliseconds, since others wait.
  SELECT c.checkpoint_id::text INTO needed FROM public.checkpoint_positions c
   CROSS JOIN LATERAL (
     SELECT l.to_leaf FROM public.detached_leaves l
      WHERE l.detachment = made AND l.log_id = c.log_id AND l.from_leaf < c.size ORDER BY l.from_leaf DESC LIMIT 1) d
   WHERE c.size % 256 <> 0 AND d.to_leaf > c.size - c.size % 256 AND NOT EXISTS (
     SELECT FROM public.detached_hashes h WHERE h.detachment = made AND h.log_id = c.log_id
        AND h.from_leaf >= c.size - c.size % 256 AND h.from_leaf < c.size)
   LIMIT 1;
  IF needed IS NOT NULL THEN
    RAISE EXCEPTION 'the checkpoint % was made meanwhile, and ends among leaves of the day %: detach it again', needed, day
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'NEEDED';
  END IF;
  EXECUTE format('ALTER TABLE public.events DETACH PARTITION public.%I', partition);
  -- Verification goes on reading the table as long as it stands.
  EXECUTE format('REVOKE ALL ON public.%I FROM PUBLIC, streaming_ingest_app', partition);
  EXECUTE format('GRANT SELECT ON public.%I TO streaming_ingest_app', partition);
  RETURN found;
END
$function$
CREATE OR REPLACE FUNCTION public.ensure_partition(day date)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
  IF day IS NULL OR abs(day - (clock_timestamp() AT TIME ZONE 'UTC')::date) > 2 THEN
    RAISE EXCEPTION 'day % lies more than two days from today', day USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  RETURN public.create_events_partition(day);
END
$function$
CREATE OR REPLACE FUNCTION public.grow_log()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
  IF (NEW.id, NEW.topic, NEW.partition, NEW.topic_id, NEW.incarnation, NEW.start_offset, NEW.created_at)
     IS DISTINCT FROM
     (OLD.id, OLD.topic, OLD.partition, OLD.topic_id, OLD.incarnation, OLD.start_offset, OLD.created_at) THEN
    RAISE EXCEPTION 'the identity of log % never changes', OLD.id USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  IF NEW.next_offset < OLD.next_offset OR NEW.size < OLD.size OR NEW.bytes < OLD.bytes
     OR NEW.leader_epoch < OLD.leader_epoch
     OR NEW.last_ingested_at < OLD.last_ingested_at
     OR (NEW.last_ingested_at IS NULL AND OLD.last_ingested_at IS NOT NULL)
     OR (NEW.size = OLD.size AND NEW.frontier IS DISTINCT FROM OLD.frontier)
     OR (NEW.size > OLD.size AND NEW.next_offset = OLD.next_offset) THEN
    RAISE EXCEPTION 'log % only grows', OLD.id USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  IF EXISTS (SELECT FROM public.partition_logs l
              WHERE l.topic = OLD.topic AND l.partition = OLD.partition AND l.incarnation > OLD.incarnation) THEN
    RAISE EXCEPTION 'log % was followed by a new incarnation: it stays as it is', OLD.id
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  RETURN NEW;
END
$function$
CREATE OR REPLACE FUNCTION public.hold_on(tenants text[], topics text[])
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  SELECT h.scope || ' ' || h.subject
    FROM (SELECT DISTINCT ON (scope, subject) scope, subject, held FROM public.legal_holds
           ORDER BY scope, subject, sequence DESC) h
   WHERE h.held AND ((h.scope = 'tenant' AND h.subject = ANY (tenants)) OR (h.scope = 'topic' AND h.subject = ANY (topics)))
   ORDER BY 1 LIMIT 1
$function$
CREATE OR REPLACE FUNCTION public.keep_plan()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
  IF (NEW.plan_id, NEW.sequence, NEW.replay_id, NEW.plan_hash, NEW.request::text, NEW.topic, NEW.target_topic,
      NEW.target_topic_id, NEW.filters::text, NEW.checkpoint_id, NEW.created_at, NEW.created_by)
     IS DISTINCT FROM
     (OLD.plan_id, OLD.sequence, OLD.replay_id, OLD.plan_hash, OLD.request::text, OLD.topic, OLD.target_topic,
      OLD.target_topic_id, OLD.filters::text, OLD.checkpoint_id, OLD.created_at, OLD.created_by) THEN
    RAISE EXCEPTION 'the plan of a replay never changes' USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  IF (OLD.status IN ('completed', 'cancelled') AND NEW.status <> OLD.status)
     OR (OLD.receipt IS NOT NULL AND NEW.receipt::text IS DISTINCT FROM OLD.receipt::text) THEN
    RAISE EXCEPTION 'a replay that is % stays so, with its receipt', OLD.status
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  RETURN NEW;
END
$function$
CREATE OR REPLACE FUNCTION public.open_log()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
  NEW.next_offset := NEW.start_offset;
  NEW.size := 0;
  NEW.bytes := 0;
  NEW.frontier := '';
  NEW.last_ingested_at := NULL;
  NEW.created_at := date_trunc('milliseconds', clock_timestamp());
  NEW.incarnation := 1 + coalesce((
    SELECT max(l.incarnation) FROM public.partition_logs l
     WHERE l.topic = NEW.topic AND l.partition = NEW.partition), 0);
  RETURN NEW;
END
$function$
CREATE OR REPLACE FUNCTION public.record_detached_leaves(detachment bigint, partition text)
 RETURNS bigint
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
  leaves bigint;
BEGIN
  EXECUTE format($sql$
    INSERT INTO public.detached_leaves (detachment, log_id, from_leaf, to_leaf, from_offset, to_offset, archives)
    SELECT $1, r.log_id, r.from_leaf, r.to_leaf, r.from_offset, r.to_offset, ARRAY(
             SELECT a.archive_id FROM public.archive_logs a
               JOIN public.archive_results v ON v.archive_id = a.archive_id AND v.status = 'verified'
              WHERE a.log_id = r.log_id AND a.from_leaf < r.to_leaf AND a.to_leaf > r.from_leaf
              ORDER BY a.from_leaf, a.archive_id)
      FROM (SELECT e.log_id, min(e.leaf_index) AS from_leaf, max(e.leaf_index) + 1 AS to_leaf,
                   min(e."offset") AS from_offset, max(e."offset") + 1 AS to_offset
              FROM (SELECT log_id, leaf_index, "offset",
                           leaf_index - dense_rank() OVER (PARTITION BY log_id ORDER BY leaf_index) AS run
                      FROM public.%I) e
             GROUP BY e.log_id, e.run) r$sql$, partition) USING detachment;
  EXECUTE format($sql$
    WITH held AS MATERIALIZED (
      SELECT log_id, leaf_index >> 8 AS block, count(*) AS leaves FROM public.%1$I GROUP BY 1, 2),
    blocks AS MATERIALIZED (
      SELECT h.log_id, h.block FROM held h
       WHERE h.leaves < 256 OR EXISTS (
         SELECT FROM public.checkpoint_positions c
          WHERE c.log_id = h.log_id AND c.size > h.block << 8 AND c.size < (h.block + 1) << 8))
    INSERT INTO public.detached_hashes (detachment, log_id, from_leaf, hashes)
    SELECT $1, e.log_id, min(e.leaf_index), string_agg(e.leaf_hash, ''::bytea ORDER BY e.leaf_index)
      FROM (SELECT t.log_id, b.block, t.leaf_index, t.leaf_hash, t.leaf_index
                   - dense_rank() OVER (PARTITION BY t.log_id, b.block ORDER BY t.leaf_index) AS run
              FROM public.%1$I t JOIN blocks b ON b.log_id = t.log_id AND b.block = t.leaf_index >> 8) e
     GROUP BY e.log_id, e.block, e.run$sql$, partition) USING detachment;
  SELECT coalesce(sum(l.to_leaf - l.from_leaf), 0) INTO leaves FROM public.detached_leaves l
   WHERE l.detachment = record_detached_leaves.detachment;
  RETURN leaves;
END
$function$
CREATE OR REPLACE FUNCTION public.reject_change()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
  RAISE EXCEPTION '% on %.% is refused: the table is append-only', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
    USING ERRCODE = 'object_not_in_prerequisite_state';
END
$function$

-- rights of streaming_ingest_app
EXECUTE on causation_candidate(bytea)
EXECUTE on causation_of(bytea)
EXECUTE on ensure_partition(date)
INSERT (leader_epoch, partition, start_offset, topic, topic_id) on partition_logs
INSERT on public.archive_files
INSERT on public.archive_logs
INSERT on public.archive_results
INSERT on public.archives
INSERT on public.checkpoint_positions
INSERT on public.checkpoints
INSERT on public.dead_letters
INSERT on public.events
INSERT on public.gaps
INSERT on public.legal_holds
INSERT on public.log_nodes
INSERT on public.note_failures
INSERT on public.note_flaws
INSERT on public.note_placements
INSERT on public.operator_actions
INSERT on public.producer_keys
INSERT on public.replay_logs
INSERT on public.replays
INSERT on public.signature_policies
INSERT on public.signing_keys
INSERT on public.verification_parts
INSERT on public.verification_results
INSERT on public.verifications
SELECT on drizzle.__drizzle_migrations
SELECT on public.archive_files
SELECT on public.archive_logs
SELECT on public.archive_results
SELECT on public.archives
SELECT on public.checkpoint_positions
SELECT on public.checkpoints
SELECT on public.dead_letters
SELECT on public.detached_hashes
SELECT on public.detached_leaves
SELECT on public.detached_partitions
SELECT on public.events
SELECT on public.gaps
SELECT on public.legal_holds
SELECT on public.log_nodes
SELECT on public.note_failures
SELECT on public.note_flaws
SELECT on public.note_placements
SELECT on public.operator_actions
SELECT on public.partition_logs
SELECT on public.producer_keys
SELECT on public.replay_logs
SELECT on public.replays
SELECT on public.signature_policies
SELECT on public.signing_keys
SELECT on public.verification_parts
SELECT on public.verification_results
SELECT on public.verifications
UPDATE (bytes, frontier, last_ingested_at, leader_epoch, next_offset, size) on partition_logs
UPDATE (cursor, events, root_hash, started, updated_at) on replay_logs
UPDATE (error_code, error_detail, receipt, status, updated_at) on replays
USAGE on schema drizzle
USAGE on schema public
