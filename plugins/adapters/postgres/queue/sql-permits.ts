import { USE_INDEX_ORDER } from './sql-plans.ts'

/** How long a permit stays assigned to a waiter that does not take it, unless a sweep renews it. */
const ASSIGNED_FOR = `interval '60 seconds'`

/**
 * The functions of permits. They use the tables of `sql-limits.ts`, whose names come from earlier releases: a row of `nq_limit_place`
 * is a permit, a row of `nq_limit_line` is a waiter. New columns of a permit: `claim`, the number of the claim that uses the permit, or 0
 * if it was assigned to a waiter that has not taken it yet; `checked`, the moment at which it was assigned, or at which a sweep last
 * saw it.
 *
 *     waiter ── hand_on ──> assigned (claim = 0) ── acquire ──> in use ── release ──> free
 *                              └── not taken in time ──> expired <── not renewed ──┘
 *
 * - `nq_permit_acquire(p_key, p_max, p_ttl, p_holder, p_claim)` returns true if the claim has a permit. Otherwise the holder waits,
 *   unless a newer claim of it has the permit. `p_ttl` is in milliseconds.
 * - `nq_permit_release(p_key, p_holder, p_claim)` returns the holders to which free permits were assigned. If `p_claim` is null, the
 *   holder also stops waiting.
 * - `nq_permit_renew(…)` returns true if the claim still has its permit, or got it back because it was still free.
 * - `nq_permit_sweep(p_age)` returns the waiters to wake: those whose assigned permit was not taken for `p_age` milliseconds, and those
 *   to which expired permits were assigned.
 *
 * Invariants: a function locks the row of a key before it changes the key. An expired permit keeps its row until it is assigned again,
 * so that one index finds the keys that have to be checked.
 */
export function permitStatements(s: string): string {
  const permits = `${s}.nq_limit_place`
  const waiters = `${s}.nq_limit_line`
  const key = `${s}.nq_limit_key`
  return `
ALTER TABLE ${permits} ADD COLUMN claim int NOT NULL DEFAULT 1, ADD COLUMN checked timestamptz;
CREATE INDEX nq_limit_place_until ON ${permits} (until);
CREATE INDEX nq_limit_place_handed ON ${permits} (checked) WHERE claim = 0;

CREATE FUNCTION ${s}.nq_permit_acquire(
  p_key text, p_max int, p_ttl double precision, p_holder text, p_claim int)
RETURNS boolean LANGUAGE plpgsql SET enable_seqscan = off AS $fn$
DECLARE
  v_now timestamptz;
  v_claim int;
BEGIN
  INSERT INTO ${key} AS k (key, max) VALUES (p_key, p_max) ON CONFLICT (key) DO UPDATE SET max = excluded.max;
  v_now := clock_timestamp();
  SELECT p.claim INTO v_claim FROM ${permits} p WHERE p.key = p_key AND p.holder = p_holder AND p.until > v_now;
  IF v_claim > p_claim THEN RETURN false; END IF;
  IF v_claim IS NULL AND (SELECT count(*) FROM ${permits} p WHERE p.key = p_key AND p.until > v_now) >= p_max THEN
    INSERT INTO ${waiters} (key, holder) VALUES (p_key, p_holder) ON CONFLICT (key, holder) DO NOTHING;
    RETURN false;
  END IF;
  DELETE FROM ${waiters} l WHERE l.key = p_key AND l.holder = p_holder;
  INSERT INTO ${permits} AS p (key, holder, until, claim) VALUES (p_key, p_holder, v_now + p_ttl * interval '1 ms', p_claim)
  ON CONFLICT (key, holder) DO UPDATE SET until = excluded.until, claim = excluded.claim, checked = NULL;
  RETURN true;
END $fn$;

-- Assigns free permits of a key to the first waiters. The row of the key is locked.
CREATE FUNCTION ${s}.nq_permit_hand_on(p_key text, p_max int)
RETURNS SETOF text LANGUAGE plpgsql SET enable_seqscan = off AS $fn$
DECLARE
  v_now timestamptz := clock_timestamp();
  v_taken int;
  v_next record;
BEGIN
  DELETE FROM ${permits} p WHERE p.key = p_key AND p.until <= v_now;
  SELECT count(*) INTO v_taken FROM ${permits} p WHERE p.key = p_key;
  FOR v_next IN
    SELECT l.holder FROM ${waiters} l WHERE l.key = p_key ORDER BY l.position LIMIT greatest(0, p_max - v_taken)
  LOOP
    DELETE FROM ${waiters} l WHERE l.key = p_key AND l.holder = v_next.holder;
    INSERT INTO ${permits} (key, holder, until, claim, checked)
    VALUES (p_key, v_next.holder, v_now + ${ASSIGNED_FOR}, 0, v_now);
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
  IF EXISTS (SELECT FROM ${permits} p WHERE p.key = p_key AND p.holder = p_holder AND p.claim > p_claim) THEN RETURN; END IF;
  DELETE FROM ${permits} p WHERE p.key = p_key AND p.holder = p_holder;
  IF p_claim IS NULL THEN DELETE FROM ${waiters} l WHERE l.key = p_key AND l.holder = p_holder; END IF;
  RETURN QUERY SELECT * FROM ${s}.nq_permit_hand_on(p_key, v_max);
END $fn$;

-- An expired permit that is still free goes back to the claim.
CREATE FUNCTION ${s}.nq_permit_renew(p_key text, p_max int, p_ttl double precision, p_holder text, p_claim int)
RETURNS boolean LANGUAGE plpgsql SET enable_seqscan = off AS $fn$
DECLARE
  v_now timestamptz;
  v_claim int;
BEGIN
  INSERT INTO ${key} AS k (key, max) VALUES (p_key, p_max) ON CONFLICT (key) DO UPDATE SET max = k.max;
  v_now := clock_timestamp();
  SELECT p.claim INTO v_claim FROM ${permits} p WHERE p.key = p_key AND p.holder = p_holder AND p.until > v_now;
  IF v_claim > p_claim THEN RETURN false; END IF;
  IF v_claim IS NULL AND (SELECT count(*) FROM ${permits} p WHERE p.key = p_key AND p.until > v_now) >= p_max THEN
    RETURN false;
  END IF;
  INSERT INTO ${permits} AS p (key, holder, until, claim) VALUES (p_key, p_holder, v_now + p_ttl * interval '1 ms', p_claim)
  ON CONFLICT (key, holder) DO UPDATE SET until = excluded.until, claim = excluded.claim, checked = NULL;
  RETURN true;
END $fn$;

-- Skips locked keys. The next sweep checks them.
CREATE FUNCTION ${s}.nq_permit_sweep(p_age double precision)
RETURNS TABLE (key text, holder text) LANGUAGE plpgsql ${USE_INDEX_ORDER} AS $fn$
#variable_conflict use_column
DECLARE
  v_now timestamptz := clock_timestamp();
  v_key text;
  v_max int;
BEGIN
  RETURN QUERY WITH due AS (
    SELECT p.key, p.holder FROM ${permits} p WHERE p.claim = 0 AND p.checked <= v_now - p_age * interval '1 ms'
    ORDER BY p.checked LIMIT 1000 FOR UPDATE SKIP LOCKED
  ) UPDATE ${permits} p SET checked = v_now, until = v_now + ${ASSIGNED_FOR} FROM due
    WHERE p.key = due.key AND p.holder = due.holder RETURNING p.key, p.holder;
  FOR v_key IN
    SELECT DISTINCT l.key FROM (SELECT p.key FROM ${permits} p WHERE p.until <= v_now ORDER BY p.until LIMIT 1000) l
    ORDER BY l.key
  LOOP
    SELECT k.max INTO v_max FROM ${key} k WHERE k.key = v_key FOR UPDATE SKIP LOCKED;
    IF FOUND THEN
      RETURN QUERY SELECT v_key, x FROM ${s}.nq_permit_hand_on(v_key, v_max) AS x;
    ELSIF NOT EXISTS (SELECT FROM ${key} k WHERE k.key = v_key) THEN
      DELETE FROM ${permits} p WHERE p.key = v_key AND p.until <= v_now;
    END IF;
  END LOOP;
END $fn$;`
}
