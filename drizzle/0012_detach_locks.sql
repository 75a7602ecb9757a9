-- As before (0007), but the look at a day's rows, which takes minutes for millions of them, holds up nobody: only the
-- moment of detaching locks the log. Rows of a day that is three days old are not added any more, and the lock on the
-- partition keeps it so.
CREATE OR REPLACE FUNCTION detach_events_partition(day date, reason text) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  partition text := 'events_' || to_char(day, 'YYYYMMDD');
  found bigint;
  held text;
  missing record;
BEGIN
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
  -- Nobody sets a hold, or adds a row, between the look and the deed.
  LOCK TABLE public.legal_holds IN SHARE MODE;
  EXECUTE format('LOCK TABLE public.%I IN SHARE MODE', partition);
  EXECUTE format($sql$
    WITH holds AS (
      SELECT DISTINCT ON (h.scope, h.subject) h.scope, h.subject, h.held FROM public.legal_holds h
       ORDER BY h.scope, h.subject, h.sequence DESC)
    SELECT h.scope || ' ' || h.subject FROM holds h
     WHERE h.held AND (
       (h.scope = 'tenant' AND EXISTS (SELECT FROM public.%1$I e WHERE e.tenant_id = h.subject))
       OR (h.scope = 'topic' AND EXISTS (
         SELECT FROM public.partition_logs l WHERE l.topic = h.subject
            AND EXISTS (SELECT FROM public.%1$I e WHERE e.log_id = l.id))))
     ORDER BY 1 LIMIT 1$sql$, partition) INTO held;
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
  EXECUTE format('SELECT count(*) FROM public.%I', partition) INTO found;
  EXECUTE format('ALTER TABLE public.events DETACH PARTITION public.%I', partition);
  EXECUTE format('REVOKE ALL ON public.%I FROM PUBLIC, streaming_ingest_app', partition);
  INSERT INTO public.detached_partitions (day, name, rows, reason, detached_by)
  VALUES (day, partition, found, reason, session_user);
  RETURN found;
END
$$;
