/**
 * Throws nearly right input at the HTTP interface, the worker protocol, webhooks or JSON, in rounds of a thousand:
 * `npm run fuzz -- http --seconds 300`. A round that fails names its seed, and `--seed` runs that round alone.
 */
import { setImmediate } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { FORMS } from './forms.ts'
import { fuzzRound } from './round.ts'

const STEPS = 1000
/** What the heap may have grown by since the first rounds, in bytes. */
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
  // What is left to timers has had no turn where all that a round awaited was there at once.
  await setImmediate()
  globalThis.gc?.()
  const heap = process.memoryUsage().heapUsed
  if (round <= 3) warm = heap
  if (round > 3 && heap > warm + GROWTH)
    throw new Error(`The heap has grown from ${warm} to ${heap} bytes, at seed ${seed}.`)
  if (values.seed !== undefined) break
}
console.log(`${inputs} inputs, and nothing wrong`)
