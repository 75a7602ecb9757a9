CREATE TABLE "verification_parts" (
	"verification_id" uuid NOT NULL,
	"log_id" integer NOT NULL,
	"verdict" text NOT NULL,
	"report" json NOT NULL,
	"finished_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	CONSTRAINT "verification_parts_pkey" PRIMARY KEY("verification_id","log_id"),
	CONSTRAINT "verification_parts_verdict" CHECK ("verification_parts"."verdict" in ('intact', 'damaged'))
);
--> statement-breakpoint
CREATE TABLE "verification_results" (
	"verification_id" uuid PRIMARY KEY NOT NULL,
	"verdict" text NOT NULL,
	"error_code" text,
	"error_detail" text,
	"finished_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	CONSTRAINT "verification_results_verdict" CHECK ("verification_results"."verdict" in ('intact', 'damaged', 'cancelled', 'failed'))
);
--> statement-breakpoint
CREATE TABLE "verifications" (
	"id" uuid PRIMARY KEY NOT NULL,
	"sequence" bigint GENERATED ALWAYS AS IDENTITY (sequence name "verifications_sequence_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"kind" text NOT NULL,
	"workflow_id" text NOT NULL,
	"request" json NOT NULL,
	"parts" integer NOT NULL,
	"total" bigint NOT NULL,
	"created_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"created_by" text NOT NULL,
	CONSTRAINT "verifications_sequence_key" UNIQUE("sequence"),
	CONSTRAINT "verifications_kind" CHECK ("verifications"."kind" in ('log', 'replay'))
);
--> statement-breakpoint
ALTER TABLE "verification_parts" ADD CONSTRAINT "verification_parts_verification_id_verifications_id_fk" FOREIGN KEY ("verification_id") REFERENCES "public"."verifications"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "verification_parts" ADD CONSTRAINT "verification_parts_log_id_partition_logs_id_fk" FOREIGN KEY ("log_id") REFERENCES "public"."partition_logs"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "verification_results" ADD CONSTRAINT "verification_results_verification_id_verifications_id_fk" FOREIGN KEY ("verification_id") REFERENCES "public"."verifications"("id") ON DELETE no action ON UPDATE no action;
--> statement-breakpoint

-- By hand: append-only like the rest of the evidence (0001).
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['verifications', 'verification_parts', 'verification_results'] LOOP
    EXECUTE format('CREATE TRIGGER reject_change BEFORE UPDATE OR DELETE OR TRUNCATE ON public.%I '
                   'FOR EACH STATEMENT EXECUTE FUNCTION public.reject_change()', name);
    EXECUTE format('ALTER TABLE public.%I ENABLE ALWAYS TRIGGER reject_change', name);
  END LOOP;
END
$$;
--> statement-breakpoint
GRANT SELECT, INSERT ON verifications, verification_parts, verification_results TO streaming_ingest_app;
