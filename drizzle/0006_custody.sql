CREATE INDEX "replay_logs_log" ON "replay_logs" USING btree ("log_id","from_offset");--> statement-breakpoint

-- By hand. What an event names as its cause, for an index: PostgreSQL's own reading of the value, where it can read it. The
-- last member of a name counts, as in JSON.parse; U+0000 cannot be text here and is no part of a UUID.
CREATE FUNCTION causation_of(value bytea) RETURNS uuid
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 10000 AS $$
DECLARE
  named text;
BEGIN
  named := (replace(convert_from(value, 'UTF8'), '\u0000', '\ufffd')::json -> 'metadata') ->> 'causationId';
  IF named ~ '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$' THEN
    RETURN named::uuid;
  END IF;
  RETURN NULL;
EXCEPTION
  -- A lone surrogate in a member that a later one of the same name hides: JSON.parse never sees it. An index must not
  -- keep such an event out.
  WHEN data_exception OR program_limit_exceeded THEN
    RETURN NULL;
END
$$;
--> statement-breakpoint
REVOKE ALL ON FUNCTION causation_of(bytea) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION causation_of(bytea) TO streaming_ingest_app;
--> statement-breakpoint

-- In the index are only values that can name a cause: those with the name in them, and those that write characters as \u….
-- The others cost two searches in their bytes.
CREATE FUNCTION create_causation_index(partition text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  EXECUTE format('CREATE INDEX %I ON public.%I (public.causation_of(value)) '
                 'WHERE position(''\x636175736174696f6e4964''::bytea in value) > 0 '
                 'OR position(''\x5c75''::bytea in value) > 0', partition || '_causation', partition);
END
$$;
--> statement-breakpoint
REVOKE ALL ON FUNCTION create_causation_index(text) FROM PUBLIC;
--> statement-breakpoint
SELECT create_causation_index(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = 'events'::regclass;
--> statement-breakpoint

-- As before (0001), and with the index by cause.
CREATE OR REPLACE FUNCTION create_events_partition(day date) RETURNS boolean
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
$$;
--> statement-breakpoint

-- By hand. What was planned stays, what was done only grows, and neither is ever deleted: which replays produced an event
-- is read from these two tables (GET /events/:id).
CREATE FUNCTION keep_plan() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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
$$;
--> statement-breakpoint
CREATE FUNCTION advance_replay() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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
$$;
--> statement-breakpoint
REVOKE ALL ON FUNCTION keep_plan(), advance_replay() FROM PUBLIC;
--> statement-breakpoint
CREATE TRIGGER keep_plan BEFORE UPDATE ON replays FOR EACH ROW EXECUTE FUNCTION keep_plan();
--> statement-breakpoint
CREATE TRIGGER reject_change BEFORE DELETE OR TRUNCATE ON replays
  FOR EACH STATEMENT EXECUTE FUNCTION reject_change();
--> statement-breakpoint
ALTER TABLE replays ENABLE ALWAYS TRIGGER keep_plan, ENABLE ALWAYS TRIGGER reject_change;
--> statement-breakpoint
CREATE TRIGGER advance_replay BEFORE UPDATE ON replay_logs FOR EACH ROW EXECUTE FUNCTION advance_replay();
--> statement-breakpoint
CREATE TRIGGER reject_change BEFORE DELETE OR TRUNCATE ON replay_logs
  FOR EACH STATEMENT EXECUTE FUNCTION reject_change();
--> statement-breakpoint
ALTER TABLE replay_logs ENABLE ALWAYS TRIGGER advance_replay, ENABLE ALWAYS TRIGGER reject_change;
