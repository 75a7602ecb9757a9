-- As before (0006, 0009), with every type by its full name: a session's own temporary types are looked at before all others,
-- and would decide what the index holds of the rows that the session adds.
CREATE OR REPLACE FUNCTION causation_of(value bytea) RETURNS uuid
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 10000 AS $$
DECLARE
  named pg_catalog.text;
BEGIN
  named := (pg_catalog.replace(pg_catalog.convert_from(value, 'UTF8'), '\u0000', '\ufffd')::pg_catalog.json
            -> 'metadata') ->> 'causationId';
  IF named ~ '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$' THEN
    RETURN named::pg_catalog.uuid;
  END IF;
  RETURN NULL;
EXCEPTION
  WHEN data_exception OR program_limit_exceeded THEN
    RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE OR REPLACE FUNCTION causation_candidate(value bytea) RETURNS uuid
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 10000 AS $$
DECLARE
  place pg_catalog.int4 := position('\x22636175736174696f6e496422'::pg_catalog.bytea in value);
  behind pg_catalog.bytea;
  named pg_catalog.text;
BEGIN
  IF place > 0 AND position('\x5c75'::pg_catalog.bytea in value) = 0 THEN
    behind := substring(value from place + 13);
    IF position('\x22636175736174696f6e496422'::pg_catalog.bytea in behind) = 0 THEN
      named := pg_catalog.encode(substring(behind for 39), 'escape');
      IF named LIKE ':"________-____-____-____-____________"'
         AND pg_catalog.translate(named, '0123456789abcdefABCDEF-', '') = ':""' THEN
        RETURN pg_catalog.substr(named, 3, 36)::pg_catalog.uuid;
      END IF;
    END IF;
  END IF;
  RETURN public.causation_of(value);
END
$$;
