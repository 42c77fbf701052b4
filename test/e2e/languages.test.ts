import { execFileSync } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createKernel, definePlugin, type Kernel, type KernelConfig } from 'nuxt-queue/kernel'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import dev from '../../presets/dev.ts'
import { collectReports } from '../../testing/conformance/harness.ts'
import { ROOT } from './processes.ts'

const PYTHON_WORKER = `
from nuxt_queue import define_config, define_worker

config = define_config(concurrency=3, rate_limit={"max": 100, "duration": 1000}, process={"idle_timeout": 5000})

@define_worker
def hello(job, ctx):
    print("hello from", job.name)
    return f"hello {job.data['name']}"
`

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nuxt-queue-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** An application with these files in `server/queues`. */
async function app(files: Record<string, string>, config: KernelConfig = {}) {
  const rootDir = await mkdtemp(join(folder, 'app-'))
  for (const [path, text] of Object.entries(files)) {
    const file = join(rootDir, 'server/queues', path)
    await mkdir(join(file, '..'), { recursive: true })
    await writeFile(file, text)
    if (text.startsWith('#!')) await chmod(file, 0o755)
  }
  return open(rootDir, config)
}

async function open(rootDir: string, { python, ...config }: KernelConfig = {}) {
  const { reports, reporter } = collectReports()
  const kernel = await createKernel({
    preset: dev,
    config: { setupTimeout: 240_000, registry: { rootDir }, python: { rootDir, ...(python as object) }, ...config },
    reporter,
  })
  onTestFinished(async () => void (await kernel.close()))
  await kernel.start()
  return { kernel, reports, rootDir }
}

async function run(kernel: Kernel, worker: string, data?: unknown): Promise<unknown> {
  return kernel.result(await kernel.enqueue(worker, data))
}

/** Excludes the keys of this package. */
const workersOf = ({ registry }: Kernel): string[] =>
  registry.workers.map(({ id }) => id).filter((id) => !id.startsWith('_'))

const logsOf = async (kernel: Kernel, runId: string): Promise<unknown[]> =>
  (await kernel.port('events').read(runId, { types: ['runner.log'] })).map(({ data }) => data)

describe('Python workers in a folder', () => {
  test('are workers like others, with their config, and their output is their log', async () => {
    const { kernel, reports } = await app({
      'ml/hello.py': PYTHON_WORKER,
      'ml/_helpers.py': 'x = 1',
      'ml/test_hello.py': 'def test(): pass',
      'plain.mjs': 'export default (job) => job.data',
    })
    expect(reports).toEqual([])
    expect(workersOf(kernel)).toEqual(['ml/hello', 'plain'])
    expect(kernel.registry.get('ml/hello')!.worker).toMatchObject({
      runtime: 'python',
      concurrency: 3,
      rateLimit: { max: 100, duration: 1000 },
      process: { idleTimeout: 5000 },
    })
    const job = await kernel.enqueue('ml/hello', { name: 'Ada' })
    expect(await kernel.result(job)).toBe('hello Ada')
    expect(await logsOf(kernel, job.runId)).toEqual([
      { level: 'info', message: 'hello from ml/hello', meta: { stream: 'stdout' } },
    ])
  })

  test('a hundred files are described by one interpreter, and by none if nothing has changed', async () => {
    const files = Object.fromEntries(
      Array.from({ length: 100 }, (_, n) => [`w${n}.py`, `${PYTHON_WORKER}\nopen(__file__ + ".log", "a").write("x")`]),
    )
    const { rootDir, kernel } = await app(files)
    expect(workersOf(kernel)).toHaveLength(100)
    // The descriptions are saved when a kernel has closed.
    await kernel.close()
    const again = await open(rootDir)
    expect(workersOf(again.kernel)).toHaveLength(100)
    expect(await readFile(join(rootDir, 'server/queues/w7.py.log'), 'utf8')).toBe('x')
    await writeFile(join(rootDir, 'server/queues/w7.py'), PYTHON_WORKER.replace('=3', '=4'))
    const changed = await open(rootDir)
    expect(changed.kernel.registry.get('w7')!.worker.concurrency).toBe(4)
  })

  test.each([
    ['an import that fails', 'import no_such_module\n', /No module named 'no_such_module'/, /line 1/],
    ['a syntax error', 'def broken(:\n', /SyntaxError/, /broken/],
    [
      'no handler',
      'x = 1\n',
      /has no handler\. If it is not a worker, let its name begin with "_"\. Otherwise decorate a function with @define_worker\./,
      /define_worker/,
    ],
    [
      'two handlers',
      'from nuxt_queue import define_worker\n@define_worker\ndef a(job, ctx): pass\n@define_worker\ndef b(job, ctx): pass\n',
      /several handlers: a, b/,
      /handler/,
    ],
    ['an exit', 'raise SystemExit(3)\n', /SystemExit: 3/, /line 1/],
  ])('%s leaves the file out, with what Python says, and the others in', async (_what, text, message, stack) => {
    const { kernel, reports } = await app({ 'bad.py': text, 'good.py': PYTHON_WORKER })
    expect(workersOf(kernel)).toEqual(['good'])
    const [report] = reports
    expect(report).toMatchObject({ level: 'error', message: expect.stringMatching(message) as string })
    // The location follows the message, and the message is not repeated.
    const printed = `${report!.message}${(report!.detail as string | undefined) ?? ''}`
    expect(printed).toMatch(stack)
    expect(printed.split('is skipped')).toHaveLength(2)
    expect(await run(kernel, 'good', { name: 'you' })).toBe('hello you')
  })

  test('without Python report the tried interpreters, or run the configured fallback in process', async () => {
    const files = { 'hello.py': PYTHON_WORKER, '_instead.mjs': 'export default (job) => `in process ${job.data.name}`' }
    const missing = await app(files, { python: { command: 'no-such-python' } })
    expect(workersOf(missing.kernel)).toEqual([])
    expect(missing.reports[0]!.message).toMatch(/Tried: no-such-python \(not found\)\. Install Python 3\.9 or later/)

    const fallback = { 'server/queues/hello.py': 'server/queues/_instead.mjs' }
    const { kernel, reports } = await app(files, { python: { command: 'no-such-python', fallback } })
    expect(reports).toMatchObject([{ level: 'warn', message: expect.stringContaining('python.fallback') as string }])
    expect(await run(kernel, 'hello', { name: 'Ada' })).toBe('in process Ada')
  })

  test('run in the configured virtual environment', async () => {
    const source = PYTHON_WORKER.replace('return f"hello', 'import sys; return sys.prefix + f" hello')
    const { kernel, rootDir } = await app({ 'hello.py': source, '../../make': '#!/bin/sh\n' })
    await kernel.close()
    execFileSync('python3', ['-m', 'venv', '--without-pip', join(rootDir, '.venv')])
    const again = await open(rootDir, { python: { venv: '.venv' } })
    expect(await run(again.kernel, 'hello', { name: 'Ada' })).toBe(`${join(rootDir, '.venv')} hello Ada`)
  })

  test('are read again when their imports change', async () => {
    const source = PYTHON_WORKER.replace('concurrency=3', 'concurrency=_n.N').replace('\n', '\nimport _n\n')
    const { rootDir, kernel } = await app({ 'hello.py': source, '_n.py': 'N = 3' })
    expect(kernel.registry.get('hello')!.worker.concurrency).toBe(3)
    await writeFile(join(rootDir, 'server/queues/_n.py'), 'N = 44')
    const again = await open(rootDir)
    expect(again.kernel.registry.get('hello')!.worker.concurrency).toBe(44)
  })

  test('report a Python that is too old', async () => {
    const { reports } = await app(
      { 'hello.py': PYTHON_WORKER, '../../old': '#!/bin/sh\necho /usr/bin/python2\necho 2.7.18\n' },
      { python: { command: join(folder, 'old') } },
    )
    expect(reports[0]!.message).toMatch(/old \((?:not found|Python 2\.7\.18)\)/)
  })
})

describe('Python handlers', () => {
  const worker = (body: string): string =>
    `import asyncio, logging, sys, threading, time\nfrom nuxt_queue import define_worker\n${body}`

  test('log by the logging module, with the traceback of what they caught', async () => {
    const { kernel } = await app({
      'logs.py': worker(`
@define_worker
def logs(job, ctx):
    logging.getLogger("my.module").warning("careful: %s", 1)
    try:
        1 / 0
    except ZeroDivisionError:
        logging.exception("caught")
`),
    })
    const job = await kernel.enqueue('logs')
    await kernel.result(job)
    expect(await logsOf(kernel, job.runId)).toMatchObject([
      { level: 'warn', message: 'careful: 1', meta: { logger: 'my.module' } },
      { level: 'error', message: 'caught', meta: { stack: expect.stringContaining('ZeroDivisionError') as string } },
    ])
  })

  test('call the context from many threads, and from many tasks', async () => {
    const { kernel } = await app({
      'threads.py': worker(`
@define_worker
def threads(job, ctx):
    def add(n):
        ctx.state.update("sum", lambda total: (total or 0) + n)
    all = [threading.Thread(target=add, args=(n,)) for n in range(1, 9)]
    for thread in all: thread.start()
    for thread in all: thread.join()
    return ctx.state.get("sum")
`),
      'tasks.py': worker(`
@define_worker
async def tasks(job, ctx):
    await asyncio.gather(*(ctx.state.set(f"k{n}", n) for n in range(50)))
    values = await asyncio.gather(*(ctx.state.get(f"k{n}") for n in range(50)))
    return sum(values)
`),
    })
    expect(await run(kernel, 'threads')).toBe(36)
    expect(await run(kernel, 'tasks')).toBe(1225)
  })

  test('receive their timeout while they compute, sleep or await', async () => {
    const { kernel } = await app({
      'busy.py': worker(`
@define_worker(process={"reuse": 2})
def busy(job, ctx):
    if job.data is None: return
    ctx.progress(0.5)
    while not ctx.cancelled: pass
    print("heard", file=sys.stderr, flush=True)
    open(job.data, "w").write(ctx.cancel_reason.code)
`),
      'awaits.py': worker(`
@define_worker(process={"reuse": 2})
async def awaits(job, ctx):
    if job.data is None: return
    await ctx.signal.wait()
    open(job.data, "w").write(ctx.cancel_reason.code)
`),
    })
    for (const name of ['busy', 'awaits']) {
      const file = join(folder, `${name}.txt`)
      // Starts the process, because its start may take longer than the timeout.
      await run(kernel, name)
      const job = await kernel.enqueue(name, file, { timeout: 500 })
      await expect(kernel.result(job)).rejects.toMatchObject({ code: 'JOB_TIMEOUT' })
      await expect.poll(() => readFile(file, 'utf8').catch(() => '')).toBe('JOB_TIMEOUT')
    }
  })

  test('that stop responding while their process lives fail, and workers that only compute do not', async () => {
    const { kernel } = await app({
      'stopped.py': worker(`
import os, signal
@define_worker(process={"heartbeat_timeout": 400})
def stopped(job, ctx):
    os.kill(os.getpid(), signal.SIGSTOP)
`),
      'computes.py': worker(`
@define_worker(process={"heartbeat_timeout": 400})
def computes(job, ctx):
    end = time.monotonic() + 1.2
    while time.monotonic() < end: pass
    return "done"
`),
    })
    const stopped = run(kernel, 'stopped')
    await expect(stopped).rejects.toMatchObject({ code: 'RUNTIME_SILENT' })
    expect(await run(kernel, 'computes')).toBe('done')
  })

  test('that exit by sys.exit fail, as do workers that write reserved events', async () => {
    const { kernel } = await app({
      'leaves.py': worker(`
@define_worker
def leaves(job, ctx):
    sys.exit(3)
`),
      'final.py': worker(`
class Fatal(Exception):
    retryable = False

@define_worker(attempts=5)
def final(job, ctx):
    raise Fatal("never again")
`),
    })
    await expect(run(kernel, 'leaves')).rejects.toThrow('The handler called sys.exit(3)')
    const job = await kernel.enqueue('final')
    await expect(kernel.result(job)).rejects.toThrow('never again')
    // The log has the end of a job before its queue does.
    await expect
      .poll(() => kernel.port('queue').getJob(job.queue, job.id))
      .toMatchObject({ state: 'failed', attemptsMade: 1 })
  })

  test('continue after the last finished step in the next attempt', async () => {
    const { kernel } = await app({
      'steps.py': worker(`
@define_worker(attempts=2)
def steps(job, ctx):
    first = ctx.step.run("first", lambda: ctx.attempt)
    if ctx.attempt == 1:
        raise ValueError("once")
    return [first, ctx.step.run("second", lambda: ctx.attempt)]
`),
    })
    expect(await run(kernel, 'steps')).toEqual([1, 2])
  })
})

describe('the examples of the playground', () => {
  test('a shell script takes JSON and prints JSON; a Perl script has all of the context', async () => {
    const { kernel } = await open(join(ROOT, 'playground'), {
      registry: { rootDir: ROOT, dirs: ['playground/queues'] },
    })
    const disk = await kernel.enqueue('examples/disk', '/')
    expect(await kernel.result(disk)).toEqual({
      path: expect.any(String) as string,
      percent: expect.any(Number) as number,
      freeKb: expect.any(Number) as number,
    })
    expect(await logsOf(kernel, disk.runId)).toMatchObject([{ level: 'warn', message: 'looking at /' }])
    const words = await kernel.enqueue('examples/anagrams', {
      words: ['listen', 'silent', 'enlist', 'cat', 'act', 'dog'],
    })
    expect(await kernel.result(words)).toEqual([
      ['cat', 'act'],
      ['listen', 'silent', 'enlist'],
    ])
    expect(await kernel.state(words.runId)).toEqual({ groups: 2 })
    expect(await logsOf(kernel, words.runId)).toMatchObject([{ message: '2 groups' }])
  })
})

describe('executables', () => {
  const sh = (body: string): string => `#!/bin/sh\n${body}\n`

  test('receive their job in the environment, and fail by their exit code with the end of their output', async () => {
    const { kernel, reports } = await app({
      'env.sh': sh('cat > /dev/null; printf \'{"id":"%s","attempt":%s}\' "$NUXT_QUEUE_JOB_ID" "$NUXT_QUEUE_ATTEMPT"'),
      'fails.sh': sh('echo "no such account" >&2; exit 3'),
      'talks.sh': sh('echo hello there'),
      'silent.sh': sh('exit 0'),
      'sleeps.sh': sh('sleep 100'),
      'forever.sh': sh('yes'),
    })
    expect(reports).toEqual([])
    const job = await kernel.enqueue('env', null, { id: 'e1' })
    expect(await kernel.result(job)).toEqual({ id: 'e1', attempt: 1 })
    await expect(run(kernel, 'fails')).rejects.toMatchObject({
      code: 'RUNTIME_EXITED',
      message: expect.stringMatching(/exit code 3.*no such account/s) as string,
    })
    await expect(run(kernel, 'talks')).rejects.toMatchObject({
      code: 'PROTOCOL_VIOLATION',
      message: expect.stringContaining('printed invalid JSON: hello there') as string,
    })
    expect(await run(kernel, 'silent')).toBeUndefined()
    await expect(run(kernel, 'forever')).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' })
    const slow = await kernel.enqueue('sleeps', null, { timeout: 100 })
    await expect(kernel.result(slow)).rejects.toMatchObject({ code: 'JOB_TIMEOUT' })
  })

  test('use the protocol on stdin and stdout if configured', async () => {
    const { kernel } = await app({})
    const absPath = join(ROOT, 'test/fixtures/runtime/perl/use.pl')
    await kernel.registerWorker({
      id: 'use',
      absPath,
      config: { runtime: 'exec', exec: { mode: 'protocol', channel: 'stdio' } },
    })
    expect(await run(kernel, 'use', 'a')).toEqual({ seen: 'a', count: 1 })
  })

  test('with a file extension that a plugin of the application claims are handled by it', async () => {
    const rootDir = await mkdtemp(join(folder, 'app-'))
    await mkdir(join(rootDir, 'server/queues'), { recursive: true })
    await writeFile(join(rootDir, 'server/queues/mine.pl'), 'no program')
    const mine = definePlugin({
      name: 'runtime-mine',
      setup: (kernel) =>
        kernel.provide('runtime', { name: 'mine', extensions: ['.pl'], load: async () => ({}), execute: () => 'mine' }),
    })
    const kernel = await createKernel({ preset: dev, plugins: [mine], config: { registry: { rootDir } } })
    onTestFinished(async () => void (await kernel.close()))
    await kernel.start()
    expect(await run(kernel, 'mine')).toBe('mine')
  })

  test('that are not executable are skipped with a hint', async () => {
    const { reports } = await app({ 'plain.sh': 'echo 1\n' })
    expect(reports[0]!.message).toMatch(/is not executable\. Begin it with .* and run: chmod \+x/)
  })

  test('can be named by a TypeScript file that has their config', async () => {
    const { kernel } = await app({
      'sum.mjs': "export const config = { runtime: 'exec', exec: { command: './_sum' }, attempts: 2 }",
      _sum: sh('read -r numbers; echo "$numbers" | tr -d "[]" | tr "," "\\n" | awk \'{ s += $1 } END { print s }\''),
    })
    expect(await run(kernel, 'sum', [1, 2, 3])).toBe(6)
  })

  test('whose program is missing fail with a reason, and pause after three failures', async () => {
    const { kernel } = await app({
      'gone.mjs': "export const config = { runtime: 'exec', exec: { command: 'no-such', mode: 'protocol' } }",
    })
    const errors: string[] = []
    for (let n = 0; n < 4; n++)
      errors.push(await run(kernel, 'gone').then(String, (error: unknown) => (error as Error).message))
    expect(errors.slice(0, 3)).toEqual(
      Array.from({ length: 3 }, () => expect.stringMatching(/could not be started.*ENOENT/s)),
    )
    expect(errors[3]).toMatch(/failed to start 3 times in a row, and pauses for \d+ ms/)
  })
})
