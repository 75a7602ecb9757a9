ALTER TABLE "verification_parts" DROP CONSTRAINT "verification_parts_log_id_partition_logs_id_fk";
