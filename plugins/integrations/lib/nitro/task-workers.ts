import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'pathe'
import { filesIn, isWorkerFile, workerId } from '../../../jobs/lib/worker-files.ts'

/** The parts of Nitro's options that describe tasks. */
export interface TaskOptions {
  buildDir: string
  experimental: { tasks?: boolean }
  /** The tasks by name, such as `db:migrate`. */
  tasks: Record<string, { handler?: string; description?: string }>
  /** The tasks by cron expression. */
  scheduledTasks?: Record<string, string | string[]>
}

export interface TaskWorkers {
  /** The folder of the workers. Their ids are `tasks/<name>`, with `/` for each `:`. */
  folder: string
  /** The section `schedules` that starts the scheduled tasks. */
  schedules: Record<string, { cron: string; worker: string }>
  /** Writes a worker for each current task. */
  write(): Promise<void>
}

/** The files of tasks. */
const TASK = /\.[cm]?[jt]sx?$/

/**
 * Turns each Nitro task into a worker, and Nitro's scheduled tasks into schedules of the queue, which then start once for all servers.
 *
 * @param sourceDirs the folders whose subfolder `tasks` has tasks
 */
export function createTaskWorkers(options: TaskOptions, sourceDirs: readonly string[]): TaskWorkers {
  const folder = join(options.buildDir, 'nuxt-queue')
  options.experimental.tasks = true
  const schedules = schedulesOf(options.scheduledTasks ?? {})
  // Otherwise Nitro would also start them, in each server.
  options.scheduledTasks = {}

  /** Adds the files in `tasks`, because Nitro has looked for them before a module can turn tasks on. */
  async function scan(): Promise<void> {
    for (const dir of sourceDirs.map((one) => join(one, 'tasks'))) {
      for (const file of await filesIn(dir)) {
        if (!TASK.test(file) || !isWorkerFile(dir, file)) continue
        const name = workerId(dir, file)
          .replace(/\/index$/, '')
          .replaceAll('/', ':')
        const task = (options.tasks[name] ??= { description: '' })
        task.handler ??= file
      }
    }
  }

  async function write(): Promise<void> {
    await scan()
    const sources = new Map<string, string>()
    for (const [name, { handler }] of Object.entries(options.tasks)) {
      if (handler === undefined) continue
      const path = join(folder, idOf(name))
      sources.set(`${path}.mjs`, source(name, handler)).set(`${path}.d.mts`, DECLARATION)
    }
    for (const file of await filesIn(folder)) if (!sources.has(file)) await rm(file)
    for (const [file, text] of sources) {
      if ((await readFile(file, 'utf8').catch(() => '')) === text) continue
      await mkdir(dirname(file), { recursive: true })
      await writeFile(file, text)
    }
  }

  return { folder, schedules, write }
}

function idOf(task: string): string {
  return `tasks/${task.replaceAll(':', '/')}`
}

function schedulesOf(scheduled: NonNullable<TaskOptions['scheduledTasks']>): TaskWorkers['schedules'] {
  const schedules: TaskWorkers['schedules'] = {}
  for (const [cron, tasks] of Object.entries(scheduled)) {
    for (const task of [tasks].flat()) {
      const names = Object.keys(schedules).filter((name) => schedules[name]!.worker === idOf(task))
      schedules[names.length === 0 ? task : `${task}.${names.length + 1}`] = { cron, worker: idOf(task) }
    }
  }
  return schedules
}

/** Returns the source of the worker of a task. It is plain JavaScript, because Nuxt may keep it where nothing is compiled. */
function source(name: string, handler: string): string {
  return `// Written by nuxt-queue from the tasks of Nitro.
import task from ${JSON.stringify(handler.replace(TASK, ''))}

export const config = { queue: 'tasks' }
export default async (job) => {
  const ended = await task.run({ name: ${JSON.stringify(name)}, payload: job.data ?? {}, context: {} })
  return ended?.result
}
`
}

const DECLARATION = `import type { Job } from 'nuxt-queue'
export declare const config: { queue: string }
declare const worker: (job: Job<Record<string, unknown> | undefined>) => Promise<unknown>
export default worker
`
