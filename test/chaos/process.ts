/** One process of a chaos run. Prints its actions on its standard output. */
import { setTimeout as sleep } from 'node:timers/promises'
import { createKernel, type KernelConfig } from 'nuxt-queue'
import { failpoint, skewedClock } from './failpoints.ts'
import type { Failpoint } from './schedule.ts'
import { verify } from './verify.ts'
import { produce, registerWorkers, type Workload } from './workload.ts'

export interface ProcessOptions {
  /** `verify` completes the remaining work and checks the data. */
  role: 'produce' | 'work' | 'both' | 'verify'
  preset: string
  config: KernelConfig
  /** The prefix of the ids that it produces. */
  name: string
  failpoint?: Failpoint
  skew: number
  workload: Workload
  /** A file that handlers may write to. */
  journal: string
  /** For `verify`: a file that lists everything that was acknowledged. */
  acknowledged?: string
}

// Nothing is written to the standard input. It closes when the parent process ends.
process.stdin.on('end', () => process.exit(1)).resume()

const options = JSON.parse(process.env.CHAOS!) as ProcessOptions
const say = (word: string, value: unknown): void => void process.stdout.write(`${word} ${JSON.stringify(value)}\n`)
const note = (level: string) => (message: string, detail?: unknown) =>
  void process.stderr.write(`${options.name} ${level}: ${message} ${detail instanceof Error ? detail.stack : ''}\n`)

const kernel = await createKernel({
  preset: options.preset,
  plugins: [failpoint(options.failpoint), ...(options.skew === 0 ? [] : [skewedClock(options.skew)])],
  config: options.config,
  reporter: { warn: note('warn'), error: note('error') },
})
// The process that verifies completes the remaining work, so it must survive.
const { workload, journal } = options
await registerWorkers(kernel, { workload, journal, mayDie: options.role !== 'verify' })
const { signal, abort } = stopSignal()
process.once('SIGTERM', abort)

function stopSignal(): { signal: AbortSignal; abort: () => void } {
  const controller = new AbortController()
  return { signal: controller.signal, abort: () => controller.abort() }
}

/** Produces one item after the other, and waits until each is acknowledged. */
async function produceAll(): Promise<void> {
  for (let n = 0; !signal.aborted; n++) {
    const id = `${options.name}-${n}`
    while (!signal.aborted) {
      try {
        await produce(kernel, id, n, workload)
        say('acknowledged', [id, n])
        break
      } catch (error) {
        note('refused')(id, error)
        await sleep(100)
      }
    }
    await sleep(workload === 'orders' || workload === 'retention' ? 100 : 5)
  }
}

if (options.role !== 'produce') await kernel.start()
say('ready', options.name)
if (options.role === 'verify') {
  say('verified', await verify(kernel, { acknowledged: options.acknowledged!, journal, workload }))
} else if (options.role === 'work') {
  while (!signal.aborted) await sleep(20)
} else {
  await produceAll()
}
await kernel.close()
process.exit()
