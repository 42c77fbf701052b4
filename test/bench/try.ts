import { dump } from './time-queries.ts'
import { createKernel } from 'nuxt-queue'
import { Pool } from 'pg'
import { startPostgres } from '../services/postgres.ts'
import { ORDER } from './payload.ts'
const service = await startPostgres({ fsync: true })
const pool = new Pool({ connectionString: service.url })
await pool.query("ALTER DATABASE test SET track_functions='all'")
const t = (l: string, b: number) => console.log(l, (performance.now() - b).toFixed(0), 'ms')
let b = performance.now()
const kernel = await createKernel({ preset: 'prod-postgres', config: { postgres: { url: service.url, schema: 's' }, registry: { dirs: [] } } })
t('kernel', b)
const N = Number(process.env.N ?? 10000), C = Number(process.env.C ?? 50)
b = performance.now()
for (let sent = 0; sent < N; sent += 1000) {
  const b2 = performance.now()
  await kernel.enqueueMany(Array.from({ length: 1000 }, () => ({ worker: { queue: 'order', name: 'order' }, data: ORDER })))
  if (sent % 5000 === 0) t('chunk', b2)
}
t('fill', b); dump()
let left = N
const done = Promise.withResolvers<void>()
await pool.query('VACUUM ANALYZE'); await pool.query('CHECKPOINT')
await kernel.registerWorker({ id: 'order', config: { queue: 'order', concurrency: C }, handler: async () => { if (--left === 0) done.resolve() } })
b = performance.now()
await kernel.start()
const iv = setInterval(() => console.log('left', left), 1000)
await done.promise
clearInterval(iv)
t('drain', b); console.log((N / ((performance.now() - b) / 1000)).toFixed(0), 'jobs/s')
dump(); await new Promise((r) => setTimeout(r, 1100)); const st = await pool.query('SELECT funcname, calls, (total_time/calls)::numeric(8,3) AS avg FROM pg_stat_user_functions ORDER BY total_time DESC LIMIT 6'); console.log(st.rows.map((r) => r.funcname + ' ' + r.calls + ' ' + r.avg).join(' | ')); await kernel.close()
await pool.end()
await service.stop()
