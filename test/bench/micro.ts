import { Pool } from 'pg'
import { startPostgres } from '../services/postgres.ts'
import { ORDER } from './payload.ts'
const service = await startPostgres({ fsync: true })
const pool = new Pool({ connectionString: service.url, max: 1 })
await pool.query('CREATE TEMP TABLE t (n int, d jsonb)')
const N = 1000
const env = { nq: { n: 'order', t: 123456789 } }
const cases: Record<string, [string, any[]]> = {
  nested: ['SELECT count(d), count(e) FROM json_to_recordset($1::text::json) AS x (n int, i uuid, d jsonb, e jsonb)', [JSON.stringify(Array.from({ length: N }, (_, n) => ({ n, i: crypto.randomUUID(), d: ORDER, e: env })))]],
  nestedjson: ['SELECT count(d), count(e) FROM json_to_recordset($1::text::json) AS x (n int, i uuid, d json, e jsonb)', [JSON.stringify(Array.from({ length: N }, (_, n) => ({ n, i: crypto.randomUUID(), d: ORDER, e: env })))]],
  nestedb: ['SELECT count(d), count(e) FROM jsonb_to_recordset($1::text::jsonb) AS x (n int, i uuid, d jsonb, e jsonb)', [JSON.stringify(Array.from({ length: N }, (_, n) => ({ n, i: crypto.randomUUID(), d: ORDER, e: env })))]],
  string: ['SELECT count(d::jsonb), count(e) FROM json_to_recordset($1::text::json) AS x (n int, i uuid, d text, e jsonb)', [JSON.stringify(Array.from({ length: N }, (_, n) => ({ n, i: crypto.randomUUID(), d: JSON.stringify(ORDER), e: env })))]],
  unnest: ['SELECT count(d::jsonb), count(i::uuid), count(e::jsonb) FROM unnest($1::int[], $2::text[], $3::text[], $4::text[]) AS x (n, i, d, e)', [Array.from({ length: N }, (_, n) => n), Array.from({ length: N }, () => crypto.randomUUID()), Array.from({ length: N }, () => JSON.stringify(ORDER)), Array.from({ length: N }, () => JSON.stringify(env))]],
  elements: ["SELECT count((x->'d')::text::jsonb), count((x->>'i')::uuid), count((x->'e')) FROM json_array_elements($1::text::json) AS x", [JSON.stringify(Array.from({ length: N }, (_, n) => ({ n, i: crypto.randomUUID(), d: ORDER, e: env })))]],
}
for (let r = 0; r < 3; r++) for (const [k, [q, v]] of Object.entries(cases)) { const b = performance.now(); for (let i = 0; i < 3; i++) await pool.query(q, v); console.log(k, ((performance.now() - b) / 3).toFixed(1)) }
await pool.end(); await service.stop()
