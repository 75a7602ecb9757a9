CREATE TABLE "checkpoint_positions" (
	"checkpoint_id" uuid NOT NULL,
	"log_id" integer NOT NULL,
	"partition" integer NOT NULL,
	"offset" bigint NOT NULL,
	"size" bigint NOT NULL,
	"root_hash" "bytea" NOT NULL,
	CONSTRAINT "checkpoint_positions_pkey" PRIMARY KEY("checkpoint_id","log_id"),
	CONSTRAINT "checkpoint_positions_root_hash" CHECK (octet_length("checkpoint_positions"."root_hash") = 32)
);
--> statement-breakpoint
CREATE TABLE "checkpoints" (
	"id" uuid PRIMARY KEY NOT NULL,
	"sequence" bigint GENERATED ALWAYS AS IDENTITY (sequence name "checkpoints_sequence_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"topic" text NOT NULL,
	"partition" integer,
	"offset" bigint,
	"created_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"created_by" text NOT NULL,
	CONSTRAINT "checkpoints_sequence_key" UNIQUE("sequence")
);
--> statement-breakpoint
CREATE TABLE "dead_letters" (
	"log_id" integer NOT NULL,
	"offset" bigint NOT NULL,
	"last_offset" bigint NOT NULL,
	"leaf_index" bigint NOT NULL,
	"code" text NOT NULL,
	"detail" text NOT NULL,
	"key" "bytea",
	"value" "bytea",
	"headers" "bytea" NOT NULL,
	"kafka_timestamp" bigint NOT NULL,
	"leaf_hash" "bytea" NOT NULL,
	"ingested_at" timestamp with time zone NOT NULL,
	CONSTRAINT "dead_letters_pkey" PRIMARY KEY("log_id","offset"),
	CONSTRAINT "dead_letters_offsets" CHECK ("dead_letters"."last_offset" >= "dead_letters"."offset"),
	CONSTRAINT "dead_letters_leaf_hash" CHECK (octet_length("dead_letters"."leaf_hash") = 32)
);
--> statement-breakpoint
CREATE TABLE "events" (
	"offset" bigint NOT NULL,
	"leaf_index" bigint NOT NULL,
	"event_time" bigint NOT NULL,
	"kafka_timestamp" bigint NOT NULL,
	"ingested_at" timestamp with time zone NOT NULL,
	"log_id" integer NOT NULL,
	"id" uuid NOT NULL,
	"type" text NOT NULL,
	"source" text NOT NULL,
	"tenant_id" text,
	"classification" text NOT NULL,
	"policy_tags" text[] NOT NULL,
	"key" "bytea",
	"value" "bytea" NOT NULL,
	"headers" "bytea" NOT NULL,
	"content_hash" "bytea" NOT NULL,
	"leaf_hash" "bytea" NOT NULL
-- By hand: Drizzle knows no partitions. They come from ensure_partition (0001).
) PARTITION BY RANGE ("ingested_at");
--> statement-breakpoint
CREATE TABLE "gaps" (
	"log_id" integer NOT NULL,
	"from_offset" bigint NOT NULL,
	"to_offset" bigint NOT NULL,
	"leaf_index" bigint NOT NULL,
	"leaf_hash" "bytea" NOT NULL,
	"ingested_at" timestamp with time zone NOT NULL,
	CONSTRAINT "gaps_pkey" PRIMARY KEY("log_id","from_offset"),
	CONSTRAINT "gaps_offsets" CHECK ("gaps"."to_offset" > "gaps"."from_offset"),
	CONSTRAINT "gaps_leaf_hash" CHECK (octet_length("gaps"."leaf_hash") = 32)
);
--> statement-breakpoint
CREATE TABLE "log_nodes" (
	"log_id" integer NOT NULL,
	"level" smallint NOT NULL,
	"index" bigint NOT NULL,
	"hash" "bytea" NOT NULL,
	"end_offset" bigint NOT NULL,
	"bytes" bigint NOT NULL,
	"ingested_at" timestamp with time zone NOT NULL,
	CONSTRAINT "log_nodes_pkey" PRIMARY KEY("log_id","level","index"),
	CONSTRAINT "log_nodes_level" CHECK ("log_nodes"."level" > 0 and "log_nodes"."level" % 8 = 0),
	CONSTRAINT "log_nodes_hash" CHECK (octet_length("log_nodes"."hash") = 32)
);
--> statement-breakpoint
CREATE TABLE "operator_actions" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "operator_actions_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"actor" text NOT NULL,
	"action" text NOT NULL,
	"target" text NOT NULL,
	"outcome" text NOT NULL,
	"request_id" text NOT NULL,
	"detail" json,
	"created_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "partition_logs" (
	"id" integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "partition_logs_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 2147483647 START WITH 1 CACHE 1),
	"topic" text NOT NULL,
	"partition" integer NOT NULL,
	"topic_id" uuid NOT NULL,
	"incarnation" integer NOT NULL,
	"leader_epoch" integer NOT NULL,
	"start_offset" bigint NOT NULL,
	"next_offset" bigint NOT NULL,
	"size" bigint NOT NULL,
	"bytes" bigint NOT NULL,
	"frontier" "bytea" NOT NULL,
	"last_ingested_at" timestamp with time zone,
	"created_at" timestamp with time zone NOT NULL,
	CONSTRAINT "partition_logs_topic_id_key" UNIQUE("topic","partition","topic_id"),
	CONSTRAINT "partition_logs_incarnation_key" UNIQUE("topic","partition","incarnation"),
	CONSTRAINT "partition_logs_partition" CHECK ("partition_logs"."partition" >= 0 and "partition_logs"."incarnation" >= 1),
	CONSTRAINT "partition_logs_start" CHECK ("partition_logs"."start_offset" >= 0 and "partition_logs"."next_offset" >= "partition_logs"."start_offset"),
	CONSTRAINT "partition_logs_size" CHECK ("partition_logs"."size" >= 0 and "partition_logs"."size" <= "partition_logs"."next_offset" - "partition_logs"."start_offset"),
	CONSTRAINT "partition_logs_frontier" CHECK (octet_length("partition_logs"."frontier") = 32 * bit_count("partition_logs"."size"::bit(64)))
);
--> statement-breakpoint
CREATE TABLE "replay_logs" (
	"plan_id" uuid NOT NULL,
	"log_id" integer NOT NULL,
	"partition" integer NOT NULL,
	"from_offset" bigint NOT NULL,
	"to_offset" bigint NOT NULL,
	"planned" bigint NOT NULL,
	"target_partition" integer NOT NULL,
	"started" boolean DEFAULT false NOT NULL,
	"cursor" bigint NOT NULL,
	"events" bigint DEFAULT 0 NOT NULL,
	"root_hash" "bytea",
	"updated_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	CONSTRAINT "replay_logs_pkey" PRIMARY KEY("plan_id","log_id")
);
--> statement-breakpoint
CREATE TABLE "replays" (
	"plan_id" uuid PRIMARY KEY NOT NULL,
	"sequence" bigint GENERATED ALWAYS AS IDENTITY (sequence name "replays_sequence_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"replay_id" text NOT NULL,
	"plan_hash" text NOT NULL,
	"request" json NOT NULL,
	"topic" text NOT NULL,
	"target_topic" text NOT NULL,
	"target_topic_id" uuid NOT NULL,
	"filters" json NOT NULL,
	"checkpoint_id" uuid,
	"created_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"created_by" text NOT NULL,
	"status" text NOT NULL,
	"receipt" json,
	"error_code" text,
	"error_detail" text,
	"updated_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	CONSTRAINT "replays_sequence_key" UNIQUE("sequence"),
	CONSTRAINT "replays_replay_id_key" UNIQUE("replay_id"),
	CONSTRAINT "replays_status" CHECK ("replays"."status" in ('planning', 'running', 'paused', 'completed', 'failed', 'cancelled'))
);
--> statement-breakpoint
ALTER TABLE "checkpoint_positions" ADD CONSTRAINT "checkpoint_positions_checkpoint_id_checkpoints_id_fk" FOREIGN KEY ("checkpoint_id") REFERENCES "public"."checkpoints"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "checkpoint_positions" ADD CONSTRAINT "checkpoint_positions_log_id_partition_logs_id_fk" FOREIGN KEY ("log_id") REFERENCES "public"."partition_logs"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "replay_logs" ADD CONSTRAINT "replay_logs_plan_id_replays_plan_id_fk" FOREIGN KEY ("plan_id") REFERENCES "public"."replays"("plan_id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "replay_logs" ADD CONSTRAINT "replay_logs_log_id_partition_logs_id_fk" FOREIGN KEY ("log_id") REFERENCES "public"."partition_logs"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "replays" ADD CONSTRAINT "replays_checkpoint_id_checkpoints_id_fk" FOREIGN KEY ("checkpoint_id") REFERENCES "public"."checkpoints"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "log_nodes_end_offset" ON "log_nodes" USING btree ("log_id","end_offset") WHERE "log_nodes"."level" = 8;--> statement-breakpoint
CREATE INDEX "operator_actions_created_at" ON "operator_actions" USING btree ("created_at");