/** `npm run bench -- <name> [--json]`: prints measurements without a verdict. */
import { report, type BenchResult } from './harness.ts'

type Bench = (emit: (result: BenchResult) => void) => Promise<void>

const BENCHES: Record<string, () => Promise<{ default: Bench }>> = {
  memory: () => import('./memory.ts'),
  file: () => import('./file.ts'),
  embedded: () => import('./embedded.ts'),
  redis: () => import('./redis.ts'),
  postgres: () => import('./postgres.ts'),
  runtimes: () => import('./runtimes.ts'),
  flows: () => import('./flows.ts'),
  waiting: () => import('./waiting.ts'),
  unheard: () => import('./unheard.ts'),
  fairness: () => import('./fairness.ts'),
  http: () => import('./http.ts'),
  dashboard: () => import('./dashboard.ts'),
  'dashboard-ui': () => import('./dashboard-ui.ts'),
  nuxt: () => import('./nuxt.ts'),
}

const args = process.argv.slice(2)
const json = args.includes('--json')
const names = args.filter((arg) => !arg.startsWith('-'))
const known = Object.keys(BENCHES)
const unknown = names.find((name) => !known.includes(name) && name !== 'all')
if (unknown !== undefined) {
  process.stderr.write(`There is no bench "${unknown}". There are: ${known.join(', ')}, all.\n`)
  process.exit(2)
}
const chosen = names.length === 0 || names.includes('all') ? known : names
for (const name of chosen) {
  if (!json) process.stdout.write(`\n${name}\n`)
  const { default: bench } = await BENCHES[name]!()
  await bench((result) => report(result, json))
}
