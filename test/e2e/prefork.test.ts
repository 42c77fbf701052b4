import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { createKernel, type Kernel, type KernelConfig, type WorkerConfig } from 'nuxt-queue/kernel'
import { join } from 'pathe'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { privateFolder } from '../../plugins/lib/private-folder.ts'
import dev from '../../presets/dev.ts'
import { ROOT, startNode } from './processes.ts'
import { childrenOf, gone, isAlive } from './process-tree.ts'

const FAULTS = join(import.meta.dirname, '../fixtures/runtime/faults/faults.py')

/** Counts how often it was loaded and how many jobs it has run, and does what the data says. */
const WORKER = `
import os, signal, sys, threading
from nuxt_queue import define_worker

LOADED_BY = os.getpid()
jobs = 0
print("loaded")

@define_worker
def counting(job, ctx):
    global jobs
    jobs += 1
    if job.data == "kill server":
        os.kill(os.getppid(), signal.SIGKILL)
        threading.Event().wait()
    if job.data == "exit":
        os._exit(3)
    if job.data == "thread":
        # Ends after the job. The process waits for it, as every Python process does.
        threading.Thread(target=lambda: threading.Event().wait(0.05)).start()
    print("printed", file=sys.stderr)
    return {"jobs": jobs, "pid": os.getpid(), "server": os.getppid(), "loadedBy": LOADED_BY, "version": VERSION,
            "leads": os.getpgrp() == os.getpid(), "descriptors": len(os.listdir("/proc/self/fd"))}
`

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nuxt-queue-'))
  await writeFile(join(folder, 'v1.py'), `VERSION = 1\n${WORKER}`)
  const threads =
    'import threading, time\nthreading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\nVERSION = 0'
  await writeFile(join(folder, 'threads.py'), `${threads}\n${WORKER}`)
  await writeFile(join(folder, 'broken.py'), 'raise RuntimeError("not today")')
})
afterAll(() => rm(folder, { recursive: true }))

interface Report {
  jobs: number
  pid: number
  server: number
  loadedBy: number
  version: number
  leads: boolean
  descriptors: number
}

async function open(config: KernelConfig = {}) {
  const kernel = await createKernel({ preset: dev, config: { registry: { dirs: [] }, ...config } })
  onTestFinished(async () => void (await kernel.close({ timeout: 0 })))
  await kernel.start()
  const register = async (file: string, worker: WorkerConfig): Promise<void> => {
    await kernel.unregisterWorker('count')
    const absPath = join(folder, file)
    await kernel.registerWorker({ id: 'count', absPath, config: { runtime: 'python', ...worker } })
  }
  const run = async (data = 'report'): Promise<Report> =>
    (await kernel.result(await kernel.enqueue('count', data))) as Report
  return { kernel, register, run }
}

const logsOf = async (kernel: Kernel, runId: string): Promise<unknown[]> =>
  (await kernel.port('events').read(runId)).filter(({ type }) => type === 'runner.log').map(({ data }) => data)

test('each job has a separate process, forked from one that has loaded the SDK', async () => {
  const { kernel, register, run } = await open()
  await register('v1.py', { process: { prefork: true } })
  const [first, second] = [await run(), await run('thread')]
  expect(second).toMatchObject({ jobs: 1, server: first.server, loadedBy: second.pid, leads: true })
  expect(second.pid).not.toBe(first.pid)
  expect(first.server).not.toBe(process.pid)
  const job = await kernel.enqueue('count', 'report')
  await kernel.result(job)
  expect(await logsOf(kernel, job.runId)).toMatchObject([
    { message: 'loaded', meta: { stream: 'stdout' } },
    { message: 'printed', meta: { stream: 'stderr' } },
  ])
})

test('a forked process has no descriptors of the fork server', async () => {
  const { register, run } = await open()
  await register('v1.py', {})
  const { descriptors } = await run()
  await register('v1.py', { process: { prefork: true } })
  expect(await run()).toMatchObject({ descriptors })
})

test('with "worker", the file is loaded once, and each job has a copy of its state', async () => {
  const { register, run } = await open()
  await register('v1.py', { process: { prefork: 'worker' } })
  const [first, second] = [await run(), await run()]
  expect(second).toMatchObject({ jobs: 1, server: first.server, loadedBy: first.server })
  expect(second.pid).not.toBe(first.pid)
})

test('a worker that is loaded again runs its new code, and the former fork server ends', async () => {
  const { register, run } = await open()
  const edit = (version: number): Promise<void> =>
    writeFile(join(folder, 'edited.py'), `VERSION = ${version}\n${WORKER}`)
  await edit(1)
  await register('edited.py', { process: { prefork: 'worker' } })
  const { server } = await run()
  // Python compares the time of a file in seconds, and its size.
  await edit(22)
  await register('edited.py', { process: { prefork: 'worker' } })
  expect(await run()).toMatchObject({ version: 22 })
  await gone(server)
})

test('a fork server that is killed takes its jobs with it, and the next job has a new one', async () => {
  const { register, run } = await open()
  await register('v1.py', { process: { prefork: 'worker', reuse: 10 } })
  const { pid, server } = await run()
  await expect(run('kill server')).rejects.toMatchObject({ code: 'RUNTIME_EXITED' })
  await gone(pid)
  const next = await run()
  expect(next.server).not.toBe(server)
  expect(next.jobs).toBe(1)
})

test('a process that exits in its job is reported with its exit code', async () => {
  const { register, run } = await open()
  await register('v1.py', { process: { prefork: true } })
  await expect(run('exit')).rejects.toMatchObject({
    code: 'RUNTIME_EXITED',
    message: expect.stringMatching(/exit code 3/),
  })
})

test.each([
  { file: 'threads.py', message: /threads\.py starts 1 thread\(s\) while it is loaded.*`prefork` to True/s },
  { file: 'broken.py', message: /not today/ },
])('$file cannot be shared by forks: the error says why', async ({ file, message }) => {
  const { register, run } = await open()
  await register(file, { process: { prefork: 'worker' } })
  await expect(run()).rejects.toMatchObject({ code: 'RUNTIME_START_FAILED', message: expect.stringMatching(message) })
})

test('a file that starts threads can be loaded in each process instead', async () => {
  const { register, run } = await open({ python: { prefork: 'worker' } })
  await register('threads.py', { process: { prefork: true } })
  expect(await run()).toMatchObject({ jobs: 1 })
})

test('a runtime that cannot fork refuses the option', async () => {
  const { kernel } = await open()
  await kernel.registerWorker({
    id: 'node',
    absPath: join(import.meta.dirname, '../fixtures/runtime/bench/echo.ts'),
    config: { runtime: 'node-isolated', process: { prefork: true } },
  })
  const refused = kernel.result(await kernel.enqueue('node', 1, { attempts: 3 }))
  await expect(refused).rejects.toMatchObject({ code: 'OPTION_UNSUPPORTED', message: expect.stringMatching(/prefork/) })
})

test('closing the kernel ends the fork server and removes its socket', async () => {
  const { kernel, register, run } = await open()
  await register('v1.py', { process: { prefork: true } })
  const { server } = await run()
  const sockets = async (): Promise<string[]> =>
    (await readdir(privateFolder()!)).filter((name) => name.startsWith('fork-') && name.includes(`-${process.pid}-`))
  expect(await sockets()).toHaveLength(1)
  await kernel.close()
  expect(await isAlive(server)).toBe(false)
  expect(await sockets()).toEqual([])
})

test('nothing outlives a killed application', async () => {
  const sections = JSON.stringify({ python: { prefork: 'worker' } })
  const script = join(import.meta.dirname, '../fixtures/runtime/parent.ts')
  await using parent = startNode([script, 'python', FAULTS, sections], ROOT)
  const [, pids] = await parent.until(/at work: ([\d ]+)\n/)
  const jobs = pids!.split(' ').map(Number)
  const servers = await childrenOf(parent.pid)
  expect(await Promise.all(jobs.map(isAlive))).toEqual([true, true, true, true])
  parent.kill('SIGKILL')
  await Promise.all([...jobs, ...servers].map((pid) => gone(pid)))
})
