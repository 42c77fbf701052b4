/**
 * Sends nearly valid input to the HTTP interface, the worker protocol, webhooks or JSON, in rounds of a thousand:
 * `npm run fuzz -- http --seconds 300`. A failed round prints its seed, and `--seed` repeats only that round.
 */
import { setImmediate } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { FORMS } from './forms.ts'
import { fuzzRound } from './round.ts'

const STEPS = 1000
/** How much the heap may grow after the first rounds, in bytes. */
const GROWTH = 64 * 1024 * 1024

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string', default: '60' }, seed: { type: 'string' } },
})
const form = positionals[0] ?? ''
if (!Object.hasOwn(FORMS, form)) {
  console.error(`Name one of: ${Object.keys(FORMS).join(', ')}`)
  process.exit(2)
}
for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
  process.on(event, (error) => {
    console.error(`${event}, with seed ${seed}:`, error)
    process.exit(1)
  })
}

const first = Number(values.seed ?? Date.now() % 1_000_000_000)
const until = Date.now() + Number(values.seconds) * 1000
let seed = first
let inputs = 0
let warm = Infinity
console.log(`${form}, seed ${first}`)
for (let round = 0; Date.now() < until; round++, seed++) {
  inputs += await fuzzRound(form, seed, STEPS, until)
  // Lets pending timers run. They had no chance if everything that a round awaited was already settled.
  await setImmediate()
  globalThis.gc?.()
  const heap = process.memoryUsage().heapUsed
  if (round <= 3) warm = heap
  if (round > 3 && heap > warm + GROWTH)
    throw new Error(`The heap has grown from ${warm} to ${heap} bytes, at seed ${seed}.`)
  if (values.seed !== undefined) break
}
console.log(`${inputs} inputs, and nothing wrong`)
