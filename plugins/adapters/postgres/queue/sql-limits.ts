/** A reservation that its owner does not use is dropped this many milliseconds after its moment. */
const RESERVED_FOR = 3_600_000

/**
 * The tables of limits, the functions of rate limits, and the permit functions of earlier releases. All of them use the time of the
 * database.
 *
 * - `nq_limit_key`: one row per key, with its maximum of permits. A function locks this row before it changes the key.
 * - `nq_limit_place`: the permits: key, holder, and the moment `until` which the permit is valid.
 * - `nq_limit_line`: the waiters of a key, in the order of `position`.
 * - `nq_limit_bucket`: one row per bucket of a rate limit. It can be deleted after `until` (milliseconds since the epoch).
 * - `nq_limit_start`: the starts of a bucket (`at` in milliseconds since the epoch). A row with a holder is a reservation.
 *
 * Functions:
 *
 * - `nq_take(p_bucket, p_max, p_duration, p_holder)` takes a start. Returns 0 if the holder may start now, or else the milliseconds to
 *   wait. With a holder, it reserves the later start. Only actual starts count against the limit.
 * - `nq_limit_sweep()` deletes idle buckets and keys.
 * - `nq_acquire` and `nq_release` are called only by instances of earlier releases. `sql-permits.ts` replaces them.
 */
export function limitStatements(s: string): string {
  return `
CREATE TABLE ${s}.nq_limit_key (key text PRIMARY KEY, max int NOT NULL);
CREATE TABLE ${s}.nq_limit_place (
  key text NOT NULL, holder text NOT NULL, until timestamptz NOT NULL, PRIMARY KEY (key, holder)
);
CREATE TABLE ${s}.nq_limit_line (
  key text NOT NULL, position bigint GENERATED ALWAYS AS IDENTITY, holder text NOT NULL, PRIMARY KEY (key, position),
  UNIQUE (key, holder)
);
CREATE TABLE ${s}.nq_limit_bucket (bucket text PRIMARY KEY, until double precision NOT NULL);
CREATE INDEX nq_limit_bucket_until ON ${s}.nq_limit_bucket (until);
CREATE TABLE ${s}.nq_limit_start (bucket text NOT NULL, at double precision NOT NULL, holder text);
CREATE INDEX nq_limit_start_at ON ${s}.nq_limit_start (bucket, at);
CREATE INDEX nq_limit_start_holder ON ${s}.nq_limit_start (bucket, holder);

CREATE FUNCTION ${s}.nq_acquire(p_key text, p_max int, p_ttl double precision, p_holder text)
RETURNS boolean LANGUAGE plpgsql SET enable_seqscan = off AS $fn$
DECLARE
  v_now timestamptz;
BEGIN
  INSERT INTO ${s}.nq_limit_key AS k (key, max) VALUES (p_key, p_max)
  ON CONFLICT (key) DO UPDATE SET max = excluded.max;
  v_now := clock_timestamp();
  DELETE FROM ${s}.nq_limit_place p WHERE p.key = p_key AND p.until <= v_now;
  IF NOT EXISTS (SELECT FROM ${s}.nq_limit_place p WHERE p.key = p_key AND p.holder = p_holder)
    AND (SELECT count(*) FROM ${s}.nq_limit_place p WHERE p.key = p_key) >= p_max
  THEN
    INSERT INTO ${s}.nq_limit_line (key, holder) VALUES (p_key, p_holder) ON CONFLICT (key, holder) DO NOTHING;
    RETURN false;
  END IF;
  DELETE FROM ${s}.nq_limit_line l WHERE l.key = p_key AND l.holder = p_holder;
  INSERT INTO ${s}.nq_limit_place AS p (key, holder, until)
  VALUES (p_key, p_holder, v_now + p_ttl * interval '1 ms')
  ON CONFLICT (key, holder) DO UPDATE SET until = excluded.until;
  RETURN true;
END $fn$;

CREATE FUNCTION ${s}.nq_release(p_key text, p_holder text)
RETURNS SETOF text LANGUAGE plpgsql SET enable_seqscan = off AS $fn$
DECLARE
  v_max int;
  v_now timestamptz;
  v_until timestamptz;
  v_taken int;
  v_next record;
BEGIN
  SELECT k.max INTO v_max FROM ${s}.nq_limit_key k WHERE k.key = p_key FOR UPDATE;
  IF NOT FOUND THEN RETURN; END IF;
  v_now := clock_timestamp();
  DELETE FROM ${s}.nq_limit_place p WHERE p.key = p_key AND p.holder = p_holder RETURNING p.until INTO v_until;
  DELETE FROM ${s}.nq_limit_line l WHERE l.key = p_key AND l.holder = p_holder;
  DELETE FROM ${s}.nq_limit_place p WHERE p.key = p_key AND p.until <= v_now;
  SELECT count(*) INTO v_taken FROM ${s}.nq_limit_place p WHERE p.key = p_key;
  FOR v_next IN
    SELECT l.holder FROM ${s}.nq_limit_line l WHERE l.key = p_key ORDER BY l.position LIMIT greatest(0, v_max - v_taken)
  LOOP
    DELETE FROM ${s}.nq_limit_line l WHERE l.key = p_key AND l.holder = v_next.holder;
    INSERT INTO ${s}.nq_limit_place (key, holder, until)
    VALUES (p_key, v_next.holder, greatest(v_until, v_now + interval '1 second'));
    v_taken := v_taken + 1;
    RETURN NEXT v_next.holder;
  END LOOP;
  IF v_taken = 0 THEN DELETE FROM ${s}.nq_limit_key k WHERE k.key = p_key; END IF;
END $fn$;

CREATE FUNCTION ${s}.nq_take(p_bucket text, p_max int, p_duration double precision, p_holder text)
RETURNS double precision LANGUAGE plpgsql SET enable_seqscan = off AS $fn$
DECLARE
  v_now double precision;
  v_mine double precision;
  v_free double precision;
  v_at double precision;
BEGIN
  INSERT INTO ${s}.nq_limit_bucket AS b (bucket, until) VALUES (p_bucket, 0)
  ON CONFLICT (bucket) DO UPDATE SET until = b.until;
  v_now := extract(epoch FROM clock_timestamp()) * 1000;
  UPDATE ${s}.nq_limit_bucket b SET until = v_now + greatest(p_duration, ${RESERVED_FOR}) WHERE b.bucket = p_bucket;
  DELETE FROM ${s}.nq_limit_start t WHERE t.bucket = p_bucket
    AND t.at <= CASE WHEN t.holder IS NULL THEN v_now - p_duration ELSE v_now - greatest(p_duration, ${RESERVED_FOR}) END;
  SELECT t.at INTO v_mine FROM ${s}.nq_limit_start t WHERE t.bucket = p_bucket AND t.holder = p_holder;
  IF v_mine > v_now THEN RETURN ceil(v_mine - v_now); END IF;
  SELECT t.at + p_duration INTO v_free FROM ${s}.nq_limit_start t
  WHERE t.bucket = p_bucket AND t.holder IS NULL ORDER BY t.at DESC OFFSET p_max - 1 LIMIT 1;
  v_at := greatest(v_now, v_free);
  IF v_mine IS NULL THEN
    -- An owner with a reservation is already part of the plan. Every other owner starts after the whole plan.
    SELECT t.at + p_duration INTO v_free FROM ${s}.nq_limit_start t
    WHERE t.bucket = p_bucket AND t.at > v_now - p_duration ORDER BY t.at DESC OFFSET p_max - 1 LIMIT 1;
    v_at := greatest(v_at, v_free);
  END IF;
  IF v_at > v_now AND p_holder IS NULL THEN RETURN ceil(v_at - v_now); END IF;
  DELETE FROM ${s}.nq_limit_start t WHERE t.bucket = p_bucket AND t.holder = p_holder;
  IF v_at > v_now THEN
    INSERT INTO ${s}.nq_limit_start (bucket, at, holder) VALUES (p_bucket, v_at, p_holder);
    RETURN ceil(v_at - v_now);
  END IF;
  INSERT INTO ${s}.nq_limit_start (bucket, at) VALUES (p_bucket, v_now);
  RETURN 0;
END $fn$;

CREATE FUNCTION ${s}.nq_limit_sweep() RETURNS void LANGUAGE plpgsql SET enable_seqscan = off AS $fn$
BEGIN
  WITH idle AS (
    SELECT b.bucket FROM ${s}.nq_limit_bucket b WHERE b.until < extract(epoch FROM clock_timestamp()) * 1000
    ORDER BY b.until LIMIT 1000 FOR UPDATE SKIP LOCKED
  ), starts AS (DELETE FROM ${s}.nq_limit_start t USING idle WHERE t.bucket = idle.bucket)
  DELETE FROM ${s}.nq_limit_bucket b USING idle WHERE b.bucket = idle.bucket;
  DELETE FROM ${s}.nq_limit_key k WHERE k.key IN (
    SELECT i.key FROM ${s}.nq_limit_key i
    WHERE NOT EXISTS (SELECT FROM ${s}.nq_limit_line l WHERE l.key = i.key)
      AND NOT EXISTS (SELECT FROM ${s}.nq_limit_place p WHERE p.key = i.key AND p.until > clock_timestamp())
    LIMIT 1000 FOR UPDATE SKIP LOCKED
  );
END $fn$;`
}
