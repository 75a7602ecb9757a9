-- As before (0012), but a day stays while its leaves are those of a block of 256 that is not complete at the log's end, or at its
-- largest signed checkpoint: the roots there are computed from them, and without them nothing more could be signed.
CREATE OR REPLACE FUNCTION detach_events_partition(day date, reason text) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  partition text := 'events_' || to_char(day, 'YYYYMMDD');
  found bigint;
  held text;
  needed text;
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
  EXECUTE format($sql$
    WITH newest AS (
      SELECT DISTINCT ON (l.topic, l.partition) l.id, l.topic, l.partition, l.size FROM public.partition_logs l
       ORDER BY l.topic, l.partition, l.incarnation DESC),
    tails AS (
      SELECT n.*, n.size AS until FROM newest n
      UNION ALL
      SELECT n.*, p.size FROM newest n
       CROSS JOIN LATERAL (SELECT c.size FROM public.checkpoint_positions c WHERE c.log_id = n.id AND c.note IS NOT NULL
                            ORDER BY c.size DESC LIMIT 1) p)
    SELECT t.topic || '/' || t.partition FROM tails t
     WHERE EXISTS (SELECT FROM public.%I e WHERE e.log_id = t.id AND e.leaf_index < t.until
                      AND e.leaf_index >= (t.until - 1) - (t.until - 1) %% 256)
     ORDER BY 1 LIMIT 1$sql$, partition) INTO needed;
  IF needed IS NOT NULL THEN
    RAISE EXCEPTION 'the root of % needs leaves of the day %: its end, or its largest signed checkpoint, is fewer than 256 leaves away',
      needed, day USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'NEEDED';
  END IF;
  EXECUTE format('SELECT count(*) FROM public.%I', partition) INTO found;
  EXECUTE format('ALTER TABLE public.events DETACH PARTITION public.%I', partition);
  EXECUTE format('REVOKE ALL ON public.%I FROM PUBLIC, streaming_ingest_app', partition);
  INSERT INTO public.detached_partitions (day, name, rows, reason, detached_by)
  VALUES (day, partition, found, reason, session_user);
  RETURN found;
END
$$;
