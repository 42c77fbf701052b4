/** `npm run bench -- <name> [--case=…] [--quick] [--json | --markdown | --readme]`: prints measurements without a verdict. */
import { parseArgs } from 'node:util'
import { Bench, type BenchResult } from './harness.ts'
import { intoReadme, row, table } from './report.ts'

const BENCHES: Record<string, () => Promise<{ default: (bench: Bench) => Promise<void> }>> = {
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
  scale: () => import('./scale.ts'),
  http: () => import('./http.ts'),
  dashboard: () => import('./dashboard.ts'),
  'dashboard-ui': () => import('./dashboard-ui.ts'),
  nuxt: () => import('./nuxt.ts'),
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    case: { type: 'string' },
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    markdown: { type: 'boolean', default: false },
    readme: { type: 'boolean', default: false },
  },
})
const known = Object.keys(BENCHES)
const unknown = positionals.find((name) => !known.includes(name) && name !== 'all')
if (unknown !== undefined) {
  process.stderr.write(`There is no bench "${unknown}". There are: ${known.join(', ')}, all.\n`)
  process.exit(2)
}
if (values.readme && (values.quick || values.case !== undefined)) {
  process.stderr.write('--readme stores whole tables of full runs. Leave out --quick and --case.\n')
  process.exit(2)
}
const chosen = positionals.length === 0 || positionals.includes('all') ? known : positionals
const only = values.case === undefined ? undefined : new RegExp(`^(?:${values.case})$`)
for (const name of chosen) {
  const results: BenchResult[] = []
  const live = !values.json && !values.markdown
  if (live) process.stdout.write(`\n${name}\n`)
  const emit = (result: BenchResult): void => {
    results.push(result)
    if (live) process.stdout.write(row(result))
    if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`)
  }
  const { default: bench } = await BENCHES[name]!()
  await bench(new Bench(name, { quick: values.quick, only, emit }))
  if (results.length === 0) {
    process.stderr.write(`No case of "${name}" is like --case=${values.case}.\n`)
    process.exitCode = 2
  }
  if (values.markdown) process.stdout.write(`${table(results)}\n`)
  if (values.readme) process.stdout.write(`${await intoReadme(name, results)} has the new table.\n`)
}
