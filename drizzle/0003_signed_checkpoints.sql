CREATE TABLE "signing_keys" (
	"sequence" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "signing_keys_sequence_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"name" text NOT NULL,
	"key_id" text NOT NULL,
	"public_key" "bytea" NOT NULL,
	"signs_from" timestamp with time zone NOT NULL,
	"signs_until" timestamp with time zone,
	"recorded_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	CONSTRAINT "signing_keys_public_key" CHECK (octet_length("signing_keys"."public_key") = 32),
	CONSTRAINT "signing_keys_key_id" CHECK ("signing_keys"."key_id" ~ '^[0-9a-f]{8}$'),
	CONSTRAINT "signing_keys_period" CHECK ("signing_keys"."signs_until" > "signing_keys"."signs_from")
);
--> statement-breakpoint
ALTER TABLE "checkpoint_positions" ADD COLUMN "note" text;--> statement-breakpoint
CREATE INDEX "checkpoint_positions_log_size" ON "checkpoint_positions" USING btree ("log_id","size");--> statement-breakpoint
CREATE INDEX "checkpoints_topic_sequence" ON "checkpoints" USING btree ("topic","sequence");
--> statement-breakpoint
CREATE TRIGGER reject_change BEFORE UPDATE OR DELETE OR TRUNCATE ON signing_keys
  FOR EACH STATEMENT EXECUTE FUNCTION reject_change();
--> statement-breakpoint
ALTER TABLE signing_keys ENABLE ALWAYS TRIGGER reject_change;
--> statement-breakpoint
GRANT SELECT, INSERT ON signing_keys TO streaming_ingest_app;
