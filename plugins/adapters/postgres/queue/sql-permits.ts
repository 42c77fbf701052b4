import { IN_ORDER } from './sql-plans.ts'

/** Seconds that a permit stays with whom it was handed to, unless a sweep finds it first. */
const HANDED_FOR = `interval '60 seconds'`

/**
 * Permits of keys, in the tables that earlier releases made. `claim` is the claim that has a permit, 0 when it was
 * handed on and not taken up; `checked` is when it was handed on, or last looked at since. Whoever changes a key locks its
 * row first. A permit that has lapsed keeps its row until somebody hands it on, so that a key which has to be
 * looked at is found by one index; `nq_acquire` and `nq_release` stay for instances of earlier releases.
 */
export function permitStatements(s: string): string {
  const place = `${s}.nq_limit_place`
  const line = `${s}.nq_limit_line`
  const key = `${s}.nq_limit_key`
  return `
ALTER TABLE ${place} ADD COLUMN claim int NOT NULL DEFAULT 1, ADD COLUMN checked timestamptz;
CREATE INDEX nq_limit_place_until ON ${place} (until);
CREATE INDEX nq_limit_place_handed ON ${place} (checked) WHERE claim = 0;

CREATE FUNCTION ${s}.nq_permit_acquire(
  p_key text, p_max int, p_ttl double precision, p_holder text, p_claim int)
RETURNS boolean LANGUAGE plpgsql SET enable_seqscan = off AS $fn$
DECLARE
  v_now timestamptz;
  v_claim int;
BEGIN
  INSERT INTO ${key} AS k (key, max) VALUES (p_key, p_max) ON CONFLICT (key) DO UPDATE SET max = excluded.max;
  v_now := clock_timestamp();
  SELECT p.claim INTO v_claim FROM ${place} p WHERE p.key = p_key AND p.holder = p_holder AND p.until > v_now;
  IF v_claim > p_claim THEN RETURN false; END IF;
  IF v_claim IS NULL AND (SELECT count(*) FROM ${place} p WHERE p.key = p_key AND p.until > v_now) >= p_max THEN
    INSERT INTO ${line} (key, holder) VALUES (p_key, p_holder) ON CONFLICT (key, holder) DO NOTHING;
    RETURN false;
  END IF;
  DELETE FROM ${line} l WHERE l.key = p_key AND l.holder = p_holder;
  INSERT INTO ${place} AS p (key, holder, until, claim) VALUES (p_key, p_holder, v_now + p_ttl * interval '1 ms', p_claim)
  ON CONFLICT (key, holder) DO UPDATE SET until = excluded.until, claim = excluded.claim, checked = NULL;
  RETURN true;
END $fn$;

-- Hands free permits of a key, whose row is locked, to the first in line.
CREATE FUNCTION ${s}.nq_permit_hand_on(p_key text, p_max int)
RETURNS SETOF text LANGUAGE plpgsql SET enable_seqscan = off AS $fn$
DECLARE
  v_now timestamptz := clock_timestamp();
  v_taken int;
  v_next record;
BEGIN
  DELETE FROM ${place} p WHERE p.key = p_key AND p.until <= v_now;
  SELECT count(*) INTO v_taken FROM ${place} p WHERE p.key = p_key;
  FOR v_next IN
    SELECT l.holder FROM ${line} l WHERE l.key = p_key ORDER BY l.position LIMIT greatest(0, p_max - v_taken)
  LOOP
    DELETE FROM ${line} l WHERE l.key = p_key AND l.holder = v_next.holder;
    INSERT INTO ${place} (key, holder, until, claim, checked)
    VALUES (p_key, v_next.holder, v_now + ${HANDED_FOR}, 0, v_now);
    v_taken := v_taken + 1;
    RETURN NEXT v_next.holder;
  END LOOP;
  IF v_taken = 0 THEN DELETE FROM ${key} k WHERE k.key = p_key; END IF;
END $fn$;

CREATE FUNCTION ${s}.nq_permit_release(p_key text, p_holder text, p_claim int)
RETURNS SETOF text LANGUAGE plpgsql SET enable_seqscan = off AS $fn$
DECLARE
  v_max int;
BEGIN
  SELECT k.max INTO v_max FROM ${key} k WHERE k.key = p_key FOR UPDATE;
  IF NOT FOUND THEN RETURN; END IF;
  IF EXISTS (SELECT FROM ${place} p WHERE p.key = p_key AND p.holder = p_holder AND p.claim > p_claim) THEN RETURN; END IF;
  DELETE FROM ${place} p WHERE p.key = p_key AND p.holder = p_holder;
  IF p_claim IS NULL THEN DELETE FROM ${line} l WHERE l.key = p_key AND l.holder = p_holder; END IF;
  RETURN QUERY SELECT * FROM ${s}.nq_permit_hand_on(p_key, v_max);
END $fn$;

-- Whether the claim still has its permit: one that lapsed and that nobody else needs, it gets back.
CREATE FUNCTION ${s}.nq_permit_renew(p_key text, p_max int, p_ttl double precision, p_holder text, p_claim int)
RETURNS boolean LANGUAGE plpgsql SET enable_seqscan = off AS $fn$
DECLARE
  v_now timestamptz;
  v_claim int;
BEGIN
  INSERT INTO ${key} AS k (key, max) VALUES (p_key, p_max) ON CONFLICT (key) DO UPDATE SET max = k.max;
  v_now := clock_timestamp();
  SELECT p.claim INTO v_claim FROM ${place} p WHERE p.key = p_key AND p.holder = p_holder AND p.until > v_now;
  IF v_claim > p_claim THEN RETURN false; END IF;
  IF v_claim IS NULL AND (SELECT count(*) FROM ${place} p WHERE p.key = p_key AND p.until > v_now) >= p_max THEN
    RETURN false;
  END IF;
  INSERT INTO ${place} AS p (key, holder, until, claim) VALUES (p_key, p_holder, v_now + p_ttl * interval '1 ms', p_claim)
  ON CONFLICT (key, holder) DO UPDATE SET until = excluded.until, claim = excluded.claim, checked = NULL;
  RETURN true;
END $fn$;

-- Waits for nobody: a key that somebody else is at has its turn in the next sweep.
CREATE FUNCTION ${s}.nq_permit_sweep(p_age double precision)
RETURNS TABLE (key text, holder text) LANGUAGE plpgsql ${IN_ORDER} AS $fn$
#variable_conflict use_column
DECLARE
  v_now timestamptz := clock_timestamp();
  v_key text;
  v_max int;
BEGIN
  RETURN QUERY WITH due AS (
    SELECT p.key, p.holder FROM ${place} p WHERE p.claim = 0 AND p.checked <= v_now - p_age * interval '1 ms'
    ORDER BY p.checked LIMIT 1000 FOR UPDATE SKIP LOCKED
  ) UPDATE ${place} p SET checked = v_now, until = v_now + ${HANDED_FOR} FROM due
    WHERE p.key = due.key AND p.holder = due.holder RETURNING p.key, p.holder;
  FOR v_key IN
    SELECT DISTINCT l.key FROM (SELECT p.key FROM ${place} p WHERE p.until <= v_now ORDER BY p.until LIMIT 1000) l
    ORDER BY l.key
  LOOP
    SELECT k.max INTO v_max FROM ${key} k WHERE k.key = v_key FOR UPDATE SKIP LOCKED;
    IF FOUND THEN
      RETURN QUERY SELECT v_key, x FROM ${s}.nq_permit_hand_on(v_key, v_max) AS x;
    ELSIF NOT EXISTS (SELECT FROM ${key} k WHERE k.key = v_key) THEN
      DELETE FROM ${place} p WHERE p.key = v_key AND p.until <= v_now;
    END IF;
  END LOOP;
END $fn$;`
}
