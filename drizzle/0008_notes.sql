CREATE TABLE "note_failures" (
	"sequence" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "note_failures_sequence_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"place" text NOT NULL,
	"log_id" integer NOT NULL,
	"size" bigint NOT NULL,
	"code" text NOT NULL,
	"detail" text NOT NULL,
	"failed_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "note_placements" (
	"place" text NOT NULL,
	"log_id" integer NOT NULL,
	"size" bigint NOT NULL,
	"checkpoint_id" uuid NOT NULL,
	"outcome" text NOT NULL,
	"detail" text,
	"cosignatures" text,
	"placed_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	CONSTRAINT "note_placements_pkey" PRIMARY KEY("place","log_id","size"),
	CONSTRAINT "note_placements_outcome" CHECK ("note_placements"."outcome" in ('held', 'superseded', 'conflict'))
);
--> statement-breakpoint
ALTER TABLE "note_failures" ADD CONSTRAINT "note_failures_log_id_partition_logs_id_fk" FOREIGN KEY ("log_id") REFERENCES "public"."partition_logs"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "note_placements" ADD CONSTRAINT "note_placements_log_id_partition_logs_id_fk" FOREIGN KEY ("log_id") REFERENCES "public"."partition_logs"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "note_placements" ADD CONSTRAINT "note_placements_checkpoint_id_checkpoints_id_fk" FOREIGN KEY ("checkpoint_id") REFERENCES "public"."checkpoints"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "note_failures_place" ON "note_failures" USING btree ("place","sequence");--> statement-breakpoint
CREATE INDEX "note_placements_log_size" ON "note_placements" USING btree ("log_id","size");--> statement-breakpoint
CREATE INDEX "note_placements_place_time" ON "note_placements" USING btree ("place","placed_at");--> statement-breakpoint

-- By hand: append-only like the rest of the evidence (0001).
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['note_placements', 'note_failures'] LOOP
    EXECUTE format('CREATE TRIGGER reject_change BEFORE UPDATE OR DELETE OR TRUNCATE ON public.%I '
                   'FOR EACH STATEMENT EXECUTE FUNCTION public.reject_change()', name);
    EXECUTE format('ALTER TABLE public.%I ENABLE ALWAYS TRIGGER reject_change', name);
  END LOOP;
END
$$;
--> statement-breakpoint
GRANT SELECT, INSERT ON note_placements, note_failures TO streaming_ingest_app;
