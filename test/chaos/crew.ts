import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { join } from 'pathe'
import type { ChaosAdapter } from './adapters.ts'
import type { ProcessOptions } from './process.ts'
import { FORGETFUL } from './retained.ts'
import type { Failpoint } from './schedule.ts'
import type { Verdict } from './verify.ts'
import type { Workload } from './workload.ts'

const PROCESS = fileURLToPath(new URL('process.ts', import.meta.url))

interface Member {
  role: ProcessOptions['role']
  child: ChildProcess
  /** How often this process has been replaced. */
  generation: number
}

/** Creates the processes of a run. Dead processes are replaced until the run is stopped. */
export function createCrew(
  adapter: ChaosAdapter,
  roles: readonly ProcessOptions['role'][],
  folder: string,
  workload: Workload,
) {
  const config = {
    registry: { dirs: [] },
    limits: { placeTtl: 3000 },
    ...(workload === 'retention' ? FORGETFUL : KEEP_ALL),
    ...adapter.config,
  }
  const files = {
    acknowledged: join(folder, 'acknowledged.jsonl'),
    journal: join(folder, 'journal.jsonl'),
    log: join(folder, 'processes.log'),
  }
  const counts = { acknowledged: 0, deaths: 0, byFailpoint: 0 }
  const members: Member[] = []
  const closed: Promise<unknown>[] = []
  let stopping = false
  for (const name of Object.values(files)) appendFileSync(name, '')

  function launch(options: Omit<ProcessOptions, 'preset' | 'config' | 'workload' | 'journal'>): ChildProcess {
    const CHAOS = JSON.stringify({ ...options, workload, journal: files.journal, preset: adapter.preset, config })
    const child = spawn(process.execPath, [PROCESS], {
      env: { ...process.env, CHAOS },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    // The output of a process may arrive after its exit, and the folder of the log is deleted with the run.
    closed.push(once(child, 'close'))
    child.stderr.on('data', (text: Buffer) => appendFileSync(files.log, text))
    createInterface({ input: child.stdout }).on('line', (line) => {
      const [word = ''] = line.split(' ', 1)
      const value = line.slice(word.length + 1)
      if (word === 'acknowledged') {
        counts.acknowledged++
        appendFileSync(files.acknowledged, `${value}\n`)
      } else child.emit(word, JSON.parse(value))
    })
    return child
  }

  function place(index: number, role: Member['role'], generation: number, skew: number, failpoint?: Failpoint): void {
    const child = launch({ role, name: `${role}-${index}-${generation}`, skew: adapter.shared ? skew : 0, failpoint })
    members[index] = { role, child, generation }
    child.once('exit', (_code, signal) => {
      if (stopping || members[index]?.child !== child) return
      // The test has not killed it. It died at its failpoint, or because the store was unavailable at its start.
      if (signal === 'SIGKILL') counts.byFailpoint++
      setTimeout(() => {
        // Another process may have replaced it in the meantime.
        if (!stopping && members[index]?.child === child) place(index, role, generation + 1, skew)
      }, RESTART)
    })
  }
  for (const [index, role] of roles.entries()) place(index, role, 0, 0)

  return {
    counts,
    files,
    /** @throws if one of the first processes ends before it is ready: no fault has been injected until then */
    async ready(): Promise<void> {
      await Promise.all(
        members.map(async ({ child }) => {
          const died = once(child, 'exit').then(([code]): never => {
            throw new Error(`A process ended with ${code} before it was ready. See ${files.log}`)
          })
          await Promise.race([once(child, 'ready'), died])
          died.catch(() => {})
        }),
      )
    },
    /** Kills a process and replaces it. */
    async kill(index: number, skew: number, failpoint?: Failpoint): Promise<void> {
      const { role, child, generation } = members[index]!
      counts.deaths++
      if (child.exitCode === null && child.signalCode === null) {
        child.removeAllListeners('exit')
        child.kill('SIGKILL')
        await once(child, 'exit')
      }
      if (!stopping) place(index, role, generation + 1, skew, failpoint)
    },
    async stop(): Promise<void> {
      stopping = true
      const alive = members.filter(({ child }) => child.exitCode === null && child.signalCode === null)
      await Promise.all(
        alive.map(async ({ child }) => {
          const exited = once(child, 'exit')
          child.kill('SIGTERM')
          const timer = setTimeout(() => child.kill('SIGKILL'), STOP)
          await exited
          clearTimeout(timer)
        }),
      )
    },
    /** Completes the remaining work and checks all data. */
    async verify(): Promise<Verdict> {
      const child = launch({ role: 'verify', name: 'verify', skew: 0, acknowledged: files.acknowledged })
      const verdict = once(child, 'verified').then(([value]) => value as Verdict)
      const died = once(child, 'exit').then(([code]): never => {
        throw new Error(`The process that verifies ended with ${code}. See ${files.log}`)
      })
      const found = await Promise.race([verdict, died])
      died.catch(() => {})
      await Promise.all(closed)
      return found
    },
  }
}

const hour = { age: 3_600_000, count: 1e6 }
const KEEP_ALL = { retention: { completed: hour, failed: hour, cancelled: hour } }
/** How long to wait before a process is replaced that died by itself, in milliseconds. */
const RESTART = 200
const STOP = 20_000
