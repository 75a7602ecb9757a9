-- A source that was cut back keeps its topic id, and an operator opens a new log for it all the same.
ALTER TABLE "partition_logs" DROP CONSTRAINT "partition_logs_topic_id_key";
--> statement-breakpoint

-- As before, and: only the newest incarnation moves, whatever process believes in an older one. What is asked here is
-- asked after the row was locked, so that it sees an incarnation that was opened while the update waited for the lock.
CREATE OR REPLACE FUNCTION grow_log() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF (NEW.id, NEW.topic, NEW.partition, NEW.topic_id, NEW.incarnation, NEW.start_offset, NEW.created_at)
     IS DISTINCT FROM
     (OLD.id, OLD.topic, OLD.partition, OLD.topic_id, OLD.incarnation, OLD.start_offset, OLD.created_at) THEN
    RAISE EXCEPTION 'the identity of log % never changes', OLD.id USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  IF NEW.next_offset < OLD.next_offset OR NEW.size < OLD.size OR NEW.bytes < OLD.bytes
     OR NEW.leader_epoch < OLD.leader_epoch
     OR NEW.last_ingested_at < OLD.last_ingested_at
     OR (NEW.last_ingested_at IS NULL AND OLD.last_ingested_at IS NOT NULL)
     OR (NEW.size = OLD.size AND NEW.frontier IS DISTINCT FROM OLD.frontier)
     OR (NEW.size > OLD.size AND NEW.next_offset = OLD.next_offset) THEN
    RAISE EXCEPTION 'log % only grows', OLD.id USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  IF EXISTS (SELECT FROM public.partition_logs l
              WHERE l.topic = OLD.topic AND l.partition = OLD.partition AND l.incarnation > OLD.incarnation) THEN
    RAISE EXCEPTION 'log % was followed by a new incarnation: it stays as it is', OLD.id
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  RETURN NEW;
END
$$;
