CREATE TABLE "detached_hashes" (
	"detachment" bigint NOT NULL,
	"log_id" integer NOT NULL,
	"from_leaf" bigint NOT NULL,
	"hashes" "bytea" NOT NULL,
	CONSTRAINT "detached_hashes_pkey" PRIMARY KEY("detachment","log_id","from_leaf"),
	CONSTRAINT "detached_hashes_length" CHECK (octet_length("detached_hashes"."hashes") between 32 and 8192 and octet_length("detached_hashes"."hashes") % 32 = 0)
);
--> statement-breakpoint
CREATE TABLE "detached_leaves" (
	"detachment" bigint NOT NULL,
	"log_id" integer NOT NULL,
	"from_leaf" bigint NOT NULL,
	"to_leaf" bigint NOT NULL,
	"from_offset" bigint NOT NULL,
	"to_offset" bigint NOT NULL,
	"archives" uuid[] NOT NULL,
	CONSTRAINT "detached_leaves_pkey" PRIMARY KEY("detachment","log_id","from_leaf"),
	CONSTRAINT "detached_leaves_range" CHECK ("detached_leaves"."to_leaf" > "detached_leaves"."from_leaf" and "detached_leaves"."to_offset" > "detached_leaves"."from_offset")
);
--> statement-breakpoint
ALTER TABLE "detached_hashes" ADD CONSTRAINT "detached_hashes_detachment_detached_partitions_sequence_fk" FOREIGN KEY ("detachment") REFERENCES "public"."detached_partitions"("sequence") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "detached_leaves" ADD CONSTRAINT "detached_leaves_detachment_detached_partitions_sequence_fk" FOREIGN KEY ("detachment") REFERENCES "public"."detached_partitions"("sequence") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "detached_hashes_log" ON "detached_hashes" USING btree ("log_id","from_leaf");--> statement-breakpoint
CREATE INDEX "detached_leaves_log" ON "detached_leaves" USING btree ("log_id","from_leaf");--> statement-breakpoint
CREATE INDEX "detached_leaves_offset" ON "detached_leaves" USING btree ("log_id","from_offset");--> statement-breakpoint

-- By hand, since rows of before are not looked at: one that somebody made too large would keep the others from this version. No
-- note has a hundredth of that; one of half a GB would end each process that reads it.
ALTER TABLE checkpoint_positions ADD CONSTRAINT checkpoint_positions_note
  CHECK (octet_length(note) <= 1000000 AND size >= 0 AND "offset" >= 0) NOT VALID;
--> statement-breakpoint

-- By hand: append-only like the rest of the evidence (0001). Only the owner writes here.
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['detached_leaves', 'detached_hashes'] LOOP
    EXECUTE format('CREATE TRIGGER reject_change BEFORE UPDATE OR DELETE OR TRUNCATE ON public.%I '
                   'FOR EACH STATEMENT EXECUTE FUNCTION public.reject_change()', name);
    EXECUTE format('ALTER TABLE public.%I ENABLE ALWAYS TRIGGER reject_change', name);
  END LOOP;
END
$$;
--> statement-breakpoint
GRANT SELECT ON detached_leaves, detached_hashes TO streaming_ingest_app;
--> statement-breakpoint

-- What goes away with a day's table: its leaves as runs without holes, and the leaf hashes of each block of 256 that the table
-- does not fill by itself, or in which a checkpoint ends. Of all other blocks log_nodes has the root. Returns how many leaves.
CREATE FUNCTION record_detached_leaves(detachment bigint, partition text) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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
$$;
--> statement-breakpoint

-- As before (0014), and the record of what goes away is made with it. All that takes long is done before anybody is held up: only
-- the last look at holds and checkpoints, and the deed, lock them. Each statement must see what was committed before it, so the
-- isolation must be read committed: a snapshot from before the locks would miss a hold that was accepted meanwhile.
CREATE OR REPLACE FUNCTION detach_events_partition(day date, reason text) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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
$$;
--> statement-breakpoint

-- A hold on one of these, as `scope subject`; null when there is none.
CREATE FUNCTION hold_on(tenants text[], topics text[]) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT h.scope || ' ' || h.subject
    FROM (SELECT DISTINCT ON (scope, subject) scope, subject, held FROM public.legal_holds
           ORDER BY scope, subject, sequence DESC) h
   WHERE h.held AND ((h.scope = 'tenant' AND h.subject = ANY (tenants)) OR (h.scope = 'topic' AND h.subject = ANY (topics)))
   ORDER BY 1 LIMIT 1
$$;
--> statement-breakpoint
REVOKE ALL ON FUNCTION record_detached_leaves(bigint, text), hold_on(text[], text[]) FROM PUBLIC;
--> statement-breakpoint

-- Days that were detached before: what their tables, where they still stand, have. Of the others nobody knows which leaves they were.
DO $$
DECLARE
  detached record;
  partition text;
BEGIN
  FOR detached IN SELECT DISTINCT ON (d.day) d.sequence, d.day FROM public.detached_partitions d
                   ORDER BY d.day, d.sequence DESC LOOP
    partition := 'events_' || to_char(detached.day, 'YYYYMMDD');
    CONTINUE WHEN to_regclass('public.' || quote_ident(partition)) IS NULL
      OR EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass('public.' || quote_ident(partition)));
    EXECUTE format('GRANT SELECT ON public.%I TO streaming_ingest_app', partition);
    BEGIN
      PERFORM public.record_detached_leaves(detached.sequence, partition);
    EXCEPTION WHEN others THEN
      RAISE WARNING 'the leaves of the detached table % cannot be recorded: %', partition, SQLERRM;
    END;
  END LOOP;
END
$$;
