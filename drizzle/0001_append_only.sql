-- The group role that every login role of the application is a member of. Roles belong to the cluster, so another
-- database's migration may be creating it at this very moment.
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'streaming_ingest_app') THEN
    CREATE ROLE streaming_ingest_app NOLOGIN;
  END IF;
EXCEPTION
  WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;
--> statement-breakpoint
-- Every append updates one row per log: leave room for heap-only updates.
ALTER TABLE partition_logs SET (fillfactor = 50);
--> statement-breakpoint

-- SQLSTATE 55000, not class 23: ingest takes 22, 23 and 54 for faults of the data.
CREATE FUNCTION reject_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION '% on %.% is refused: the table is append-only', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
    USING ERRCODE = 'object_not_in_prerequisite_state';
END
$$;
--> statement-breakpoint

-- A log begins empty, at its first offset, as the next incarnation of its source partition.
CREATE FUNCTION open_log() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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
$$;
--> statement-breakpoint

CREATE FUNCTION grow_log() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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
  RETURN NEW;
END
$$;
--> statement-breakpoint

CREATE TRIGGER open_log BEFORE INSERT ON partition_logs FOR EACH ROW EXECUTE FUNCTION open_log();
--> statement-breakpoint
CREATE TRIGGER grow_log BEFORE UPDATE ON partition_logs FOR EACH ROW EXECUTE FUNCTION grow_log();
--> statement-breakpoint
CREATE TRIGGER reject_change BEFORE DELETE OR TRUNCATE ON partition_logs
  FOR EACH STATEMENT EXECUTE FUNCTION reject_change();
--> statement-breakpoint
ALTER TABLE partition_logs ENABLE ALWAYS TRIGGER open_log, ENABLE ALWAYS TRIGGER grow_log,
  ENABLE ALWAYS TRIGGER reject_change;
--> statement-breakpoint

-- Statement-level: a row trigger says nothing on an UPDATE of zero rows. ENABLE ALWAYS: a session with
-- session_replication_role = replica skips the others. The parent's triggers don't fire on statements that name a
-- partition, so each partition of events gets its own from create_events_partition.
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['events', 'dead_letters', 'gaps', 'log_nodes', 'checkpoints',
                              'checkpoint_positions', 'operator_actions'] LOOP
    EXECUTE format('CREATE TRIGGER reject_change BEFORE UPDATE OR DELETE OR TRUNCATE ON public.%I '
                   'FOR EACH STATEMENT EXECUTE FUNCTION public.reject_change()', name);
    EXECUTE format('ALTER TABLE public.%I ENABLE ALWAYS TRIGGER reject_change', name);
  END LOOP;
END
$$;
--> statement-breakpoint

-- One partition of events per UTC day. CREATE, then ATTACH: that blocks neither readers nor writers of the parent.
-- True when it was made now. For the owner; the application calls ensure_partition.
CREATE FUNCTION create_events_partition(day date) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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
$$;
--> statement-breakpoint

-- What the application may do about partitions: days next to today, no others, so that its role cannot flood the
-- catalog.
CREATE FUNCTION ensure_partition(day date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF day IS NULL OR abs(day - (clock_timestamp() AT TIME ZONE 'UTC')::date) > 2 THEN
    RAISE EXCEPTION 'day % lies more than two days from today', day USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  RETURN public.create_events_partition(day);
END
$$;
--> statement-breakpoint
REVOKE ALL ON FUNCTION create_events_partition(date), ensure_partition(date), reject_change(), open_log(), grow_log()
  FROM PUBLIC;
--> statement-breakpoint

-- The default since PostgreSQL 15; a database that was upgraded from an older one may still have it otherwise.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
--> statement-breakpoint
GRANT USAGE ON SCHEMA public, drizzle TO streaming_ingest_app;
--> statement-breakpoint
GRANT SELECT ON drizzle.__drizzle_migrations TO streaming_ingest_app;
--> statement-breakpoint
GRANT SELECT, INSERT ON events, dead_letters, gaps, log_nodes, checkpoints, checkpoint_positions, operator_actions
  TO streaming_ingest_app;
--> statement-breakpoint
GRANT SELECT, INSERT (topic, partition, topic_id, leader_epoch, start_offset),
  UPDATE (leader_epoch, next_offset, size, bytes, frontier, last_ingested_at)
  ON partition_logs TO streaming_ingest_app;
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE (status, receipt, error_code, error_detail, updated_at) ON replays
  TO streaming_ingest_app;
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE (started, cursor, events, root_hash, updated_at) ON replay_logs
  TO streaming_ingest_app;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION ensure_partition(date) TO streaming_ingest_app;
