import { spawn, type ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { join } from 'pathe'
import { createKernel, type Kernel, type Reporter } from '../../index.ts'

const quiet: Reporter = { warn: () => {}, error: () => {} }

export interface Task {
  child: ChildProcess
  /** Returns the value of this member in the next line of output that has it. */
  says(member: string): Promise<Record<string, unknown>>
  exited: Promise<number | null>
}

/** Runs a task of `test/fixtures/postgres-process.ts` in a separate process. */
export function runTask(task: string, url: string, schema: string, argument = ''): Task {
  const file = join(import.meta.dirname, '../fixtures/postgres-process.ts')
  const child = spawn(process.execPath, [file, task, url, schema, argument], { stdio: ['ignore', 'pipe', 'inherit'] })
  const said: Record<string, unknown>[] = []
  let wake = (): void => {}
  createInterface({ input: child.stdout }).on('line', (line) => {
    said.push(JSON.parse(line) as Record<string, unknown>)
    wake()
  })
  const exited = new Promise<number | null>((resolve) => child.on('exit', resolve))
  return {
    child,
    exited,
    async says(member) {
      for (;;) {
        const found = said.find((line) => member in line)
        if (found) return found
        await new Promise<void>((resolve) => (wake = resolve))
      }
    },
  }
}

export function openKernel(url: string, schema: string, reporter = quiet, pool = {}): Promise<Kernel> {
  return createKernel({
    preset: 'prod-postgres',
    config: {
      postgres: { url, schema, pool, lease: 1000, pollInterval: 500 },
      registry: { dirs: [] },
      abortGrace: 20,
      setupTimeout: 60_000,
    },
    reporter,
  })
}
