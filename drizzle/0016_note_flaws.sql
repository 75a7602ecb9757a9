CREATE TABLE "note_flaws" (
	"sequence" bigint GENERATED ALWAYS AS IDENTITY (sequence name "note_flaws_sequence_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"place" text NOT NULL,
	"checkpoint_id" uuid NOT NULL,
	"log_id" integer NOT NULL,
	"size" bigint NOT NULL,
	"detail" text NOT NULL,
	"found_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	CONSTRAINT "note_flaws_pkey" PRIMARY KEY("place","checkpoint_id","log_id")
);
--> statement-breakpoint
CREATE INDEX "note_flaws_place" ON "note_flaws" USING btree ("place","sequence");--> statement-breakpoint

-- By hand: append-only like the rest of the evidence (0001).
CREATE TRIGGER reject_change BEFORE UPDATE OR DELETE OR TRUNCATE ON public.note_flaws
  FOR EACH STATEMENT EXECUTE FUNCTION public.reject_change();
--> statement-breakpoint
ALTER TABLE public.note_flaws ENABLE ALWAYS TRIGGER reject_change;
--> statement-breakpoint
GRANT SELECT, INSERT ON note_flaws TO streaming_ingest_app;
