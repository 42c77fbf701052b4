import { quoteName } from '../lib/postgres.ts'
import { appendFunctions } from './sql-append.ts'
import { inlineRunTables } from './sql-inline-runs.ts'

/**
 * Conditions for runs on the engine's own queues and for runs on queues of users. Partial indexes use these exact
 * expressions, so queries must use them as well.
 */
export const BY_OWNER = { own: `left(queue, 1) = '_'`, users: `(left(queue, 1) = '_') IS NOT TRUE` } as const

/**
 * Returns the statements of each version of the schema. Version 4 creates the functions and replaces those of earlier
 * releases. The `nq_append` of version 3 has other parameters and stays, for instances that are not updated yet.
 */
export function eventVersions(schema: string, channel: string): string[] {
  const s = quoteName(schema)
  return [
    tables(s),
    `${tags(s)}\n${fences(s)}`,
    '',
    `${inlineRunTables(s)}\n${appendFunctions(s, channel)}`,
    endedIndexes(s),
  ]
}

/**
 * The tables of version 1.
 *
 * - `nq_stream`: one row per stream. It contains the state that decides whether the next append is accepted, and the entry of
 *   the run index. Columns: `name` is the name of the stream, `head` its last seq, `ts` its newest timestamp, `trimmed` the
 *   seq up to which events were dropped, `xid` the transaction of the last append, `fence_job` and `fence_token` the newest
 *   claim of the first job. The columns from `status` on are null if the stream is not a run.
 * - `nq_event`: one row per event. Events refer to streams by their number, which grows, so that new events are adjacent in
 *   every index. `xid` is the position of an event in the order of commits.
 * - `nq_batch`: the result (`answer`) of each batch of appends, so that a batch that is sent twice takes effect once. Rows are
 *   inserted and deleted but never updated, so that a look-up stays fast while an open transaction blocks vacuum.
 * - `nq_message`: messages that are too large for a notification.
 *
 * Completed runs are only in indexes that new runs enter as well, because most runs complete immediately.
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

/** Version 2: the tags of runs. Only runs with tags are in the index. */
function tags(s: string): string {
  return `
ALTER TABLE ${s}.nq_stream ADD COLUMN tags text[];
CREATE INDEX nq_stream_tags ON ${s}.nq_stream USING gin (tags) WHERE tags IS NOT NULL;`
}

/** Version 2: a table for the fences of further jobs. In `nq_stream`, every append would rewrite the fences of all jobs of a run. */
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

/** Version 5: separate indexes of ended runs for users and for the engine, because the two are counted separately. */
function endedIndexes(s: string): string {
  const make = (whose: keyof typeof BY_OWNER): string =>
    `CREATE INDEX nq_stream_ended_${whose} ON ${s}.nq_stream (status, ended, id) WHERE ended IS NOT NULL AND ${BY_OWNER[whose]};`
  return `${make('own')}\n${make('users')}\nDROP INDEX ${s}.nq_stream_ended;`
}
