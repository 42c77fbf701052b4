/** `npm run chaos -- --adapter <name> --seed <n> --seconds <n> [--json]` */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { join } from 'pathe'
import { adapters, LEASE } from './adapters.ts'
import { createCrew } from './crew.ts'
import type { ProcessOptions } from './process.ts'
import { createRandom } from './random.ts'
import { createSchedule, type Fault } from './schedule.ts'
import type { Verdict } from './verify.ts'
import { WORKLOADS, type Workload } from './workload.ts'

interface RunOptions {
  seed: number
  seconds: number
  workload: Workload
}

interface Outcome extends Verdict {
  adapter: string
  seed: number
  seconds: number
  acknowledged: number
  /** Processes killed by the schedule, and by their failpoints. */
  kills: { scheduled: number; failpoints: number }
  store: Record<string, number>
}

const SHARED: ProcessOptions['role'][] = ['produce', 'produce', 'work', 'work', 'work']
const ALONE: ProcessOptions['role'][] = ['both']

async function run(
  name: string,
  { seed, seconds, workload }: RunOptions,
  print: (line: string) => void,
): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'nuxt-queue-chaos-log-'))
  const adapter = await adapters[name]!()
  const roles = adapter.shared ? SHARED : ALONE
  const crew = createCrew(adapter, roles, folder, workload)
  const store: Record<string, number> = {}
  const schedule = createSchedule(createRandom(seed), {
    ...{ seconds, processes: roles.length, store: adapter.service !== undefined, lease: LEASE },
  })

  async function apply(fault: Fault): Promise<void> {
    if (fault.kind === 'kill') return crew.kill(fault.process, fault.skew, fault.failpoint)
    store[fault.kind] = (store[fault.kind] ?? 0) + 1
    if (fault.kind === 'cut') return adapter.cut!()
    if (fault.kind === 'store-freeze') return adapter.service!.freeze(fault.for)
    await adapter.service!.kill()
    await sleep(fault.down)
    await adapter.service!.restart()
  }

  try {
    await crew.ready()
    const began = Date.now()
    // Faults of the store happen one after the other, and processes die at any time.
    const kills = schedule.filter(({ kind }) => kind === 'kill')
    const others = schedule.filter(({ kind }) => kind !== 'kill')
    const play = async (faults: readonly Fault[]): Promise<void> => {
      for (const fault of faults) {
        await sleep(Math.max(0, began + fault.at - Date.now()))
        print(`${((Date.now() - began) / 1000).toFixed(1).padStart(6)} s  ${JSON.stringify(fault)}`)
        await apply(fault)
      }
    }
    await Promise.all([play(kills), play(others)])
    await sleep(Math.max(0, began + seconds * 1000 - Date.now()))
    await crew.stop()
    const verdict = await crew.verify()
    const { acknowledged, deaths, byFailpoint } = crew.counts
    const outcome = {
      ...{ adapter: name, seed, seconds, acknowledged, kills: { scheduled: deaths, failpoints: byFailpoint }, store },
      ...verdict,
    }
    if (verdict.violations.length === 0) rmSync(folder, { recursive: true, force: true })
    else print(`What the processes said: ${crew.files.log}`)
    return outcome
  } finally {
    await crew.stop()
    await adapter.dispose()
  }
}

const isWorkload = (name: string): name is Workload => WORKLOADS.includes(name as Workload)
const { values } = parseArgs({
  options: {
    adapter: { type: 'string', default: 'all' },
    seed: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '60' },
    workload: { type: 'string', default: 'mixed' },
    json: { type: 'boolean', default: false },
  },
})
const names = values.adapter === 'all' ? Object.keys(adapters) : [values.adapter]
const unknown = names.find((name) => !Object.hasOwn(adapters, name))
if (unknown !== undefined) {
  process.stderr.write(`There is no adapter "${unknown}". There are: ${Object.keys(adapters).join(', ')}, all.\n`)
  process.exit(2)
}
const { workload } = values
if (!isWorkload(workload)) {
  process.stderr.write(`There is no workload "${workload}". There are: ${WORKLOADS.join(', ')}.\n`)
  process.exit(2)
}
for (const name of names) {
  const print = values.json ? () => {} : (line: string) => void process.stdout.write(`${line}\n`)
  const outcome = await run(name, { seed: Number(values.seed), seconds: Number(values.seconds), workload }, print)
  process.stdout.write(`${values.json ? JSON.stringify(outcome) : JSON.stringify(outcome, undefined, 2)}\n`)
  if (outcome.violations.length > 0) process.exitCode = 1
}
