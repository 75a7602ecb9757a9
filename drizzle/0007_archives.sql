CREATE TABLE "archive_files" (
	"archive_id" uuid NOT NULL,
	"log_id" integer NOT NULL,
	"kind" text NOT NULL,
	"ordinal" integer NOT NULL,
	"from_leaf" bigint NOT NULL,
	"to_leaf" bigint NOT NULL,
	"from_offset" bigint NOT NULL,
	"to_offset" bigint NOT NULL,
	"lines" integer NOT NULL,
	"name" text NOT NULL,
	"bytes" bigint NOT NULL,
	"unpacked_bytes" bigint NOT NULL,
	"sha256" "bytea" NOT NULL,
	"created_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	CONSTRAINT "archive_files_pkey" PRIMARY KEY("archive_id","log_id","kind","ordinal"),
	CONSTRAINT "archive_files_kind" CHECK ("archive_files"."kind" in ('leaves', 'checkpoints')),
	CONSTRAINT "archive_files_sha256" CHECK (octet_length("archive_files"."sha256") = 32)
);
--> statement-breakpoint
CREATE TABLE "archive_logs" (
	"archive_id" uuid NOT NULL,
	"log_id" integer NOT NULL,
	"from_leaf" bigint NOT NULL,
	"to_leaf" bigint NOT NULL,
	"from_offset" bigint NOT NULL,
	"to_offset" bigint NOT NULL,
	"root_hash" "bytea" NOT NULL,
	CONSTRAINT "archive_logs_pkey" PRIMARY KEY("archive_id","log_id"),
	CONSTRAINT "archive_logs_range" CHECK ("archive_logs"."to_leaf" >= "archive_logs"."from_leaf" and "archive_logs"."to_offset" >= "archive_logs"."from_offset"),
	CONSTRAINT "archive_logs_root_hash" CHECK (octet_length("archive_logs"."root_hash") = 32)
);
--> statement-breakpoint
CREATE TABLE "archive_results" (
	"archive_id" uuid PRIMARY KEY NOT NULL,
	"status" text NOT NULL,
	"manifest_sha256" "bytea",
	"error_code" text,
	"error_detail" text,
	"finished_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	CONSTRAINT "archive_results_status" CHECK ("archive_results"."status" in ('verified', 'cancelled', 'failed')),
	CONSTRAINT "archive_results_manifest" CHECK (("archive_results"."status" = 'verified') = ("archive_results"."manifest_sha256" is not null))
);
--> statement-breakpoint
CREATE TABLE "archives" (
	"id" uuid PRIMARY KEY NOT NULL,
	"sequence" bigint GENERATED ALWAYS AS IDENTITY (sequence name "archives_sequence_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"workflow_id" text NOT NULL,
	"request" json NOT NULL,
	"place" text NOT NULL,
	"checkpoint_sequence" bigint NOT NULL,
	"created_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"created_by" text NOT NULL,
	CONSTRAINT "archives_sequence_key" UNIQUE("sequence")
);
--> statement-breakpoint
CREATE TABLE "detached_partitions" (
	"sequence" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "detached_partitions_sequence_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"day" date NOT NULL,
	"name" text NOT NULL,
	"rows" bigint NOT NULL,
	"reason" text NOT NULL,
	"detached_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"detached_by" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "legal_holds" (
	"sequence" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "legal_holds_sequence_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"scope" text NOT NULL,
	"subject" text NOT NULL,
	"held" boolean NOT NULL,
	"reason" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"created_by" text NOT NULL,
	CONSTRAINT "legal_holds_scope" CHECK ("legal_holds"."scope" in ('topic', 'tenant'))
);
--> statement-breakpoint
ALTER TABLE "archive_files" ADD CONSTRAINT "archive_files_archive_id_archives_id_fk" FOREIGN KEY ("archive_id") REFERENCES "public"."archives"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "archive_files" ADD CONSTRAINT "archive_files_log_id_partition_logs_id_fk" FOREIGN KEY ("log_id") REFERENCES "public"."partition_logs"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "archive_logs" ADD CONSTRAINT "archive_logs_archive_id_archives_id_fk" FOREIGN KEY ("archive_id") REFERENCES "public"."archives"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "archive_logs" ADD CONSTRAINT "archive_logs_log_id_partition_logs_id_fk" FOREIGN KEY ("log_id") REFERENCES "public"."partition_logs"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "archive_results" ADD CONSTRAINT "archive_results_archive_id_archives_id_fk" FOREIGN KEY ("archive_id") REFERENCES "public"."archives"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "archive_logs_log" ON "archive_logs" USING btree ("log_id","from_leaf");--> statement-breakpoint
CREATE INDEX "legal_holds_subject" ON "legal_holds" USING btree ("scope","subject","sequence");--> statement-breakpoint

-- By hand: append-only like the rest of the evidence (0001).
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['archives', 'archive_logs', 'archive_files', 'archive_results', 'legal_holds',
                              'detached_partitions'] LOOP
    EXECUTE format('CREATE TRIGGER reject_change BEFORE UPDATE OR DELETE OR TRUNCATE ON public.%I '
                   'FOR EACH STATEMENT EXECUTE FUNCTION public.reject_change()', name);
    EXECUTE format('ALTER TABLE public.%I ENABLE ALWAYS TRIGGER reject_change', name);
  END LOOP;
END
$$;
--> statement-breakpoint
GRANT SELECT, INSERT ON archives, archive_logs, archive_files, archive_results, legal_holds TO streaming_ingest_app;
--> statement-breakpoint
GRANT SELECT ON detached_partitions TO streaming_ingest_app;
--> statement-breakpoint

-- Ranges of leaves that verified archives hold, per log, joined where they touch.
CREATE FUNCTION archived_ranges(log integer) RETURNS int8multirange
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(range_agg(int8range(l.from_leaf, l.to_leaf)), '{}'::int8multirange)
    FROM public.archive_logs l
    JOIN public.archive_results r ON r.archive_id = l.archive_id AND r.status = 'verified'
   WHERE l.log_id = log AND l.from_leaf < l.to_leaf
$$;
--> statement-breakpoint

-- Takes a day's partition out of the log: for the owner alone, and only when verified archives hold every leaf of it, and
-- no legal hold is on any topic or tenant in it. The table stays, with its own triggers; dropping it is another decision.
-- Returns how many events it holds.
CREATE FUNCTION detach_events_partition(day date, reason text) RETURNS bigint
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
  -- Nobody sets a hold, or appends, between the look and the deed.
  LOCK TABLE public.legal_holds IN SHARE MODE;
  EXECUTE format('LOCK TABLE public.events, public.%I IN ACCESS EXCLUSIVE MODE', partition);
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
--> statement-breakpoint
REVOKE ALL ON FUNCTION archived_ranges(integer), detach_events_partition(date, text) FROM PUBLIC;
