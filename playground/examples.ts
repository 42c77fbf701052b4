import { parseArgs } from 'node:util'
import { createKernel } from 'nuxt-queue'
import { join } from 'pathe'
import type { Example } from './lib/examples/example.ts'
import { nightly } from './lib/examples/nightly.ts'
import { order } from './lib/examples/order.ts'
import { pages } from './lib/examples/pages.ts'
import { story } from './lib/examples/story.ts'
import { trip } from './lib/examples/trip.ts'
import { PLAYGROUND } from './lib/paths.ts'
import { startStore } from './lib/store.ts'

const EXAMPLES: Readonly<Record<string, Example>> = { order, nightly, pages, story, trip }

const { values, positionals } = parseArgs({
  options: { preset: { type: 'string', default: 'dev' }, json: { type: 'boolean' } },
  allowPositionals: true,
})
const names = positionals.length > 0 ? positionals : Object.keys(EXAMPLES)
const unknown = names.find((name) => !Object.hasOwn(EXAMPLES, name))
if (unknown !== undefined) {
  process.stderr.write(`There is no example "${unknown}". There are: ${Object.keys(EXAMPLES).join(', ')}.\n`)
  process.exit(2)
}

await using store = await startStore(values.preset)
const print = values.json ? () => {} : (line: string) => void process.stdout.write(`  ${line}\n`)
for (const name of names) {
  if (!values.json) process.stdout.write(`\n${name}\n`)
  const example = EXAMPLES[name]!
  const own = await example.config?.()
  const kernel = await createKernel({
    preset: values.preset,
    config: { ...store.config, ...own?.config, registry: { rootDir: join(PLAYGROUND, 'guide'), dirs: ['.'] } },
  })
  own?.ready(kernel)
  try {
    await kernel.start()
    const result = await example.run(kernel, print)
    if (values.json) process.stdout.write(`${JSON.stringify({ example: name, result })}\n`)
  } finally {
    await kernel.close()
    own?.dispose()
  }
}
