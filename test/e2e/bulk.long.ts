// 50,000 jobs on Redis and on PostgreSQL. `npm test` retries 500 on Redis.
import { testKills } from './bulk-kills.ts'

await testKills(50_000)
