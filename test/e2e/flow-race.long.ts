// 2,000 runs on Redis and on PostgreSQL. `npm test` has 500 on PostgreSQL.
import { endsOnce } from './ends-once.ts'

endsOnce(2000)
