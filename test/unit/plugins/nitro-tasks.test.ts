import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'pathe'
import { afterAll, expect, it } from 'vitest'
import { createTaskWorkers, type TaskOptions } from '../../../plugins/integrations/lib/nitro/task-workers.ts'

const folder = await mkdtemp(join(tmpdir(), 'nuxt-queue-tasks-'))
afterAll(() => rm(folder, { recursive: true, force: true }))

it('writes a worker for each task, removes the workers of removed tasks, and schedules each time of a task', async () => {
  const tasks = join(folder, 'server/tasks')
  await mkdir(join(tasks, 'db'), { recursive: true })
  for (const name of ['db/migrate.ts', 'db/index.ts', 'mail.mjs', 'mail.test.ts', 'notes.md']) {
    await writeFile(join(tasks, name), '')
  }
  const options: TaskOptions = {
    buildDir: join(folder, 'build'),
    experimental: {},
    tasks: { clean: { handler: '/app/clean.js' }, described: { description: 'has no code yet' } },
    scheduledTasks: { '0 3 * * *': ['db:migrate', 'mail'], '0 4 * * *': 'mail' },
  }
  const workers = createTaskWorkers(options, [join(folder, 'server'), join(folder, 'layer')])
  await workers.write()
  const written = async (): Promise<string[]> => {
    const found = await readdir(workers.folder, { recursive: true })
    return found.filter((name) => name.endsWith('.mjs')).toSorted()
  }
  expect(await written()).toEqual(['tasks/clean.mjs', 'tasks/db.mjs', 'tasks/db/migrate.mjs', 'tasks/mail.mjs'])
  const source = await readFile(join(workers.folder, 'tasks/db/migrate.mjs'), 'utf8')
  expect(source).toContain(`import task from "${join(tasks, 'db/migrate')}"`)
  expect(source).toContain('name: "db:migrate"')
  expect(workers.schedules).toEqual({
    'db:migrate': { cron: '0 3 * * *', worker: 'tasks/db/migrate' },
    mail: { cron: '0 3 * * *', worker: 'tasks/mail' },
    'mail.2': { cron: '0 4 * * *', worker: 'tasks/mail' },
  })
  // Nitro starts none of them itself.
  expect(options).toMatchObject({ experimental: { tasks: true }, scheduledTasks: {} })

  delete options.tasks.clean
  await workers.write()
  expect(await written()).not.toContain('tasks/clean.mjs')
})
