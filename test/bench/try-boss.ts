import { PgBoss } from 'pg-boss'
import { Pool } from 'pg'
import { startPostgres } from '../services/postgres.ts'
import { ORDER } from './payload.ts'
const service = await startPostgres({ fsync: true })
const pool = new Pool({ connectionString: service.url })
const N = Number(process.env.N ?? 10000), C = Number(process.env.C ?? 50)
const boss = new PgBoss({ connectionString: service.url, schema: 'b', supervise: false, schedule: false, useListenNotify: true })
await boss.start(); await boss.createQueue('order', { notify: true })
let b = performance.now()
for (let sent = 0; sent < N; sent += 1000) await boss.insert('order', Array.from({ length: 1000 }, () => ({ data: ORDER as object })))
console.log('fill', N / ((performance.now() - b) / 1000))
await pool.query('VACUUM ANALYZE'); await pool.query('CHECKPOINT')
let left = N
const done = Promise.withResolvers<void>()
b = performance.now()
await boss.work('order', { batchSize: C, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 }, async (jobs) => { left -= jobs.length; if (left <= 0) done.resolve() })
await done.promise
console.log('drain', N / ((performance.now() - b) / 1000))
await boss.stop({ graceful: false }); await pool.end(); await service.stop()
