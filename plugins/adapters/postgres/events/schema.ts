import { quoteName } from '../lib/postgres.ts'
import { appendFunctions } from './sql-append.ts'
import { wholeRuns } from './sql-whole.ts'

/** Which streams are runs on the engine's own queues, and which are those of users: indexes go by these very words. */
export const WHOSE = { own: `left(queue, 1) = '_'`, users: `(left(queue, 1) = '_') IS NOT TRUE` } as const

/**
 * Statements of each version of the schema. Functions are made by the last one, over those of earlier
 * releases: `nq_append` as version 3 has it stays for instances that are still to be updated.
 */
export function eventVersions(schema: string, channel: string): string[] {
  const s = quoteName(schema)
  return [tables(s), `${tags(s)}\n${fences(s)}`, '', `${wholeRuns(s)}\n${appendFunctions(s, channel)}`, endedIndexes(s)]
}

/**
 * `nq_stream` is what has to be known of a stream before the next append, and its line in the index of
 * runs. Events go by the number of their stream, which grows, so that new ones land side by side in
 * every index; a run that completes is in two of its own, since most do at once. `xid` is where an event stands in the order of commits. `nq_batch` is what makes an append
 * that is sent twice take effect once: rows are added and removed and never changed, so that a look-up
 * stays short however long an open transaction keeps vacuum away.
 */
function tables(s: string): string {
  return `
CREATE TABLE ${s}.nq_stream (
  id bigint GENERATED ALWAYS AS IDENTITY,
  name text COLLATE "C" NOT NULL,
  head int NOT NULL DEFAULT 0,
  ts bigint NOT NULL DEFAULT 0,
  trimmed int NOT NULL DEFAULT 0,
  xid xid8 NOT NULL DEFAULT '0',
  fence_job text,
  fence_token bigint,
  fences jsonb,
  status text,
  run_name text,
  queue text,
  job_id text,
  flow text,
  started bigint,
  updated bigint,
  ended bigint
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX nq_stream_name ON ${s}.nq_stream (name);
CREATE UNIQUE INDEX nq_stream_id ON ${s}.nq_stream (id);
CREATE INDEX nq_stream_started ON ${s}.nq_stream (started DESC, id DESC) WHERE status IS NOT NULL;
CREATE INDEX nq_stream_status ON ${s}.nq_stream (status, started DESC, id DESC) WHERE status <> 'completed';
CREATE INDEX nq_stream_flow ON ${s}.nq_stream (flow, started DESC, id DESC) WHERE flow IS NOT NULL;
CREATE INDEX nq_stream_ended ON ${s}.nq_stream (status, ended, id) WHERE ended IS NOT NULL;

CREATE TABLE ${s}.nq_event (
  stream bigint NOT NULL,
  seq int NOT NULL,
  ts bigint NOT NULL,
  xid xid8 NOT NULL,
  type text NOT NULL,
  key text,
  flow text,
  step text,
  step_id text,
  attempt int,
  data text
);
CREATE UNIQUE INDEX nq_event_seq ON ${s}.nq_event (stream, seq);
CREATE INDEX nq_event_key ON ${s}.nq_event (stream, key) WHERE key IS NOT NULL;
CREATE INDEX nq_event_xid ON ${s}.nq_event (xid);

CREATE TABLE ${s}.nq_snapshot (
  stream bigint NOT NULL,
  reducer text NOT NULL,
  seq int NOT NULL,
  state text NOT NULL,
  PRIMARY KEY (stream, reducer, seq)
);

CREATE TABLE ${s}.nq_batch (
  writer uuid NOT NULL,
  batch bigint NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  answer text NOT NULL,
  PRIMARY KEY (writer, batch)
);

CREATE UNLOGGED TABLE ${s}.nq_message (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT now(),
  messages text NOT NULL
);`
}

/** Runs are found by their tags; those without any are in no index for it. */
function tags(s: string): string {
  return `
ALTER TABLE ${s}.nq_stream ADD COLUMN tags text[];
CREATE INDEX nq_stream_tags ON ${s}.nq_stream USING gin (tags) WHERE tags IS NOT NULL;`
}

/** A run of many jobs has as many fences, which its row would have to carry with every append. */
function fences(s: string): string {
  return `
CREATE TABLE ${s}.nq_fence (
  stream bigint NOT NULL,
  job text NOT NULL,
  token bigint NOT NULL,
  PRIMARY KEY (stream, job)
);
INSERT INTO ${s}.nq_fence (stream, job, token)
SELECT t.id, f.key, f.value::bigint FROM ${s}.nq_stream t, jsonb_each_text(t.fences) f;
ALTER TABLE ${s}.nq_stream DROP COLUMN fences;`
}

/** What has ended is counted apart for users and for the engine. */
function endedIndexes(s: string): string {
  const make = (whose: keyof typeof WHOSE): string =>
    `CREATE INDEX nq_stream_ended_${whose} ON ${s}.nq_stream (status, ended, id) WHERE ended IS NOT NULL AND ${WHOSE[whose]};`
  return `${make('own')}\n${make('users')}\nDROP INDEX ${s}.nq_stream_ended;`
}
