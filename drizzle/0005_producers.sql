CREATE TABLE "producer_keys" (
	"sequence" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "producer_keys_sequence_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"source" text NOT NULL,
	"name" text NOT NULL,
	"key_id" text NOT NULL,
	"public_key" "bytea" NOT NULL,
	"valid_from" timestamp with time zone NOT NULL,
	"valid_until" timestamp with time zone,
	"created_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"created_by" text NOT NULL,
	CONSTRAINT "producer_keys_public_key" CHECK (octet_length("producer_keys"."public_key") = 32),
	CONSTRAINT "producer_keys_key_id" CHECK ("producer_keys"."key_id" ~ '^[0-9a-f]{8}$'),
	CONSTRAINT "producer_keys_validity" CHECK ("producer_keys"."valid_until" > "producer_keys"."valid_from")
);
--> statement-breakpoint
CREATE TABLE "signature_policies" (
	"sequence" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "signature_policies_sequence_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"source" text NOT NULL,
	"policy" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"created_by" text NOT NULL,
	CONSTRAINT "signature_policies_policy" CHECK ("signature_policies"."policy" in ('ignore', 'verify', 'require'))
);
--> statement-breakpoint
CREATE INDEX "producer_keys_source" ON "producer_keys" USING btree ("source","name","key_id","sequence");--> statement-breakpoint
CREATE INDEX "signature_policies_source" ON "signature_policies" USING btree ("source","sequence");
--> statement-breakpoint
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['producer_keys', 'signature_policies'] LOOP
    EXECUTE format('CREATE TRIGGER reject_change BEFORE UPDATE OR DELETE OR TRUNCATE ON public.%I '
                   'FOR EACH STATEMENT EXECUTE FUNCTION public.reject_change()', name);
    EXECUTE format('ALTER TABLE public.%I ENABLE ALWAYS TRIGGER reject_change', name);
  END LOOP;
END
$$;
--> statement-breakpoint
GRANT SELECT, INSERT ON producer_keys, signature_policies TO streaming_ingest_app;
