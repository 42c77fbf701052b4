import { createKernel } from 'nuxt-queue'
import pg from 'pg'
import { startPostgres } from '../services/postgres.ts'
import { ORDER } from './payload.ts'
const service = await startPostgres({ fsync: true })
const url = service.url + '?options=-c%20session_preload_libraries%3Dauto_explain%20-c%20auto_explain.log_min_duration%3D' + (process.env.MIN ?? '5') + '%20-c%20auto_explain.log_nested_statements%3Don%20-c%20auto_explain.log_analyze%3Don%20-c%20client_min_messages%3Dlog'
const notices: string[] = []
const orig = pg.Client.prototype.connect
;(pg.Client.prototype as any).connect = function (...a: any[]) { this.on('notice', (n: any) => { const m = String(n.message); if (m.includes('plan:')) notices.push(m) }); return (orig as any).apply(this, a) }
const kernel = await createKernel({ preset: 'prod-postgres', config: { postgres: { url, schema: 's' }, registry: { dirs: [] } } })
const N = Number(process.env.N ?? 3000), C = 50
notices.length = 0
for (let sent = 0; sent < N; sent += 1000) await kernel.enqueueMany(Array.from({ length: 1000 }, () => ({ worker: { queue: 'order', name: 'order' }, data: ORDER })))
console.log(notices.slice(-2).map((x) => x.replace(/s":\s*\[\{.*?\}\]/gs, '').slice(0, 6000)).join('\n=====\n'))
notices.length = 0
let left = N
const done = Promise.withResolvers<void>()
await kernel.registerWorker({ id: 'order', config: { queue: 'order', concurrency: C }, handler: async () => { if (--left === 0) done.resolve() } })
await kernel.start()
await done.promise
await kernel.close()
for (const m of notices.filter((x) => new RegExp(process.env.MATCH ?? ".").test(x)).slice(-Number(process.env.LAST ?? 12))) console.log('=====\n' + m.replace(/Query Text:.*?(?=\n[A-Z][a-zA-Z ]+ {2}\()/s, (q) => q.slice(0, 150)).slice(0, 5000))
await service.stop()
