import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { cli, cliJson } from './cli-in-process.ts'
import {
  BIN,
  cli as cliProcess,
  cliJson as cliProcessJson,
  ROOT,
  startCli,
  startNode,
  type Running,
} from './processes.ts'
import { createGate, createProject } from './project.ts'

const GREET = `
import { defineQueueConfig, defineQueueWorker } from 'nuxt-queue'

export const config = defineQueueConfig({ queue: 'greetings' })
export default defineQueueWorker<typeof config>(async (job, ctx) => {
  const { name } = job.data as { name: string }
  await ctx.state.set('name', name)
  await ctx.logger.info('greeting', { name })
  await ctx.state.setBatch({ name: name.toUpperCase(), at: new Date(0) })
  return { greeting: \`hello \${name}\` }
})
`
const FAIL = `export default () => { throw new Error('the mail server is down') }`

interface Job {
  id: string
  runId: string
  deduplicated: boolean
  result: unknown
}

async function startDev(cwd: string): Promise<Running> {
  const dev = startCli(['dev'], cwd)
  await dev.until(/nuxt-queue dev pid/)
  return dev
}

const socketOf = (cwd: string): string => join(cwd, '.nuxt-queue/dev.sock')

test('a job that another process enqueued runs, and all its data can be read', async () => {
  await using project = await createProject({ greet: GREET })
  const { cwd } = project
  await using dev = startCli(['dev', '--json'], cwd)
  const ready = JSON.parse((await dev.until(/.+\n/))[0]) as { pid: number; workers: unknown[] }
  expect(ready).toMatchObject({
    pid: dev.pid,
    workers: [{ id: 'greet', queue: 'greetings', file: 'server/queues/greet.ts' }],
  })

  const job = (await cliProcessJson(['enqueue', 'greet', '--data', '{"name":"Ada"}', '--wait'], cwd)) as Job
  expect(job.result).toEqual({ greeting: 'hello Ada' })

  const { run, events } = (await cliProcessJson(['show', job.runId], cwd)) as {
    run: { startedAt: number }
    events: { seq: number; type: string }[]
  }
  expect(run).toMatchObject({ runId: job.runId, status: 'completed', name: 'greet', queue: 'greetings', head: 5 })
  expect(events.map(({ seq, type }) => [seq, type])).toEqual([
    [1, 'step.started'],
    [2, 'state.set'],
    [3, 'runner.log'],
    [4, 'state.batch'],
    [5, 'step.completed'],
  ])

  const before = new Date(run.startedAt - 1).toISOString()
  const date = '1970-01-01T00:00:00.000Z'
  expect(await cliJson(['state', job.runId], cwd)).toEqual({ name: 'ADA', at: date })
  expect(await cliJson(['state', job.runId, '--at', '3'], cwd)).toEqual({ name: 'Ada' })
  expect(await cliJson(['state', job.runId, '--at', before], cwd)).toEqual({})
  expect(await cliJson(['runs', '--status', 'completed'], cwd)).toEqual([run])
  expect(await cliJson(['runs', '--status', 'failed'], cwd)).toEqual([])
  expect(await cliJson(['runs', '--tag', 'urgent'], cwd)).toEqual([])
})

test('the output for people is lines of text', async () => {
  await using project = await createProject({ greet: GREET })
  const { cwd } = project
  await using dev = await startDev(cwd)
  await dev.until(/greet +queue greetings +server\/queues\/greet\.ts/)

  const { code, stdout } = await cliProcess(['enqueue', 'greet', '--data', '{"name":"Ada"}', '--wait'], cwd)
  expect(code).toBe(0)
  expect(stdout).toContain(`{ greeting: 'hello Ada' }`)
  await dev.until(/● greet +started\n.* i greet +greeting +\{ name: 'Ada' \}\n.* ✔ greet +completed in \d+ ms/)

  const runId = /run (\S+)/.exec(stdout)![1]!
  expect((await cli(['show', runId], cwd)).stdout).toMatch(/ 4 .* state\.batch .*\n.* 5 .* completed in/)
  expect((await cli(['state', runId, '--at', '2'], cwd)).stdout).toBe(`{ name: 'Ada' }\n`)
  expect((await cli(['runs'], cwd)).stdout).toMatch(
    new RegExp(`^RUN +STATUS +NAME +STARTED +TOOK +EVENTS\n${runId} +completed +greet .* 5\n$`),
  )
})

test('queues and jobs are listed and changed', async () => {
  await using project = await createProject({
    greet: GREET,
    fail: FAIL,
    nightly: `export const config = { schedule: { cron: '0 3 * * *', timeZone: 'UTC' } }\nexport default () => {}`,
  })
  const { cwd } = project
  await using _dev = await startDev(cwd)
  const text = async (...args: string[]): Promise<string> => (await cli(args, cwd)).stdout
  const code = async (...args: string[]): Promise<number | null> => (await cli(args, cwd)).code
  expect(await text('workers')).toMatch(/^WORKER +QUEUE +RUNTIME +CONCURRENCY +FILE\n/)
  expect(await cliJson(['workers'], cwd)).toMatchObject([{ id: 'fail' }, { id: 'greet' }, { id: 'nightly' }])
  expect(await text('schedules')).toMatch(/\nnightly +0 3 \* \* \* UTC +worker nightly +\S+T03:00:00.000Z\n$/)

  const { id } = (await cliJson(
    [
      'enqueue',
      'greet',
      '--delay',
      '3600000',
      '--data',
      '{"name":"Ada"}',
      '--tag',
      'a,to:7',
      '--header',
      'tenant=acme,x=1=2',
    ],
    cwd,
  )) as Job
  const found = ['jobs', '--state', 'delayed,waiting', '--tag', 'to:7', '--where', 'name=Ada', '--since', '1h']
  expect(await text(...found)).toMatch(
    new RegExp(`^JOB +STATE +QUEUE +NAME +CREATED +TAGS +ERROR\n${id} +delayed +greetings +greet +\\S+Z +a, to:7\n$`),
  )
  expect(await cliJson(found, cwd)).toMatchObject({ jobs: [{ headers: { tenant: 'acme', x: '1=2' } }] })
  expect(await text('runs')).toContain('0 waiting and 1 delayed jobs are not listed')
  expect(await cliJson(['pause', 'greetings'], cwd)).toMatchObject({ name: 'greetings', paused: true })
  expect(await text('queues')).toMatch(/\ngreetings +0 +1 +0 +0 +0 +0 +paused\n/)
  expect(await text('promote', id)).toBe(`Promoted job ${id} of queue greetings.\n`)
  expect(await code('promote', id)).toBe(1)
  expect(await text('cancel', id, '--reason', 'not needed')).toBe(`Cancelled job ${id} of queue greetings.\n`)
  expect(await code('cancel', id)).toBe(1)
  expect(await cliJson(['explain', id], cwd)).toMatchObject({
    reasons: [{ outcome: 'cancelled', reason: 'not needed' }],
  })
  expect(await cliJson(['retry', id, '--queue', 'greetings'], cwd)).toEqual({ id, queue: 'greetings' })
  expect(await text('resume', 'greetings')).toBe('Resumed queue greetings.\n')
  const ofWorker = 'There is no queue "greet". The worker "greet" takes jobs of the queue "greetings".'
  expect(await cli(['pause', 'greet'], cwd)).toMatchObject({
    code: 2,
    stderr: expect.stringContaining(ofWorker) as string,
  })
  for (const command of ['pause', 'resume', 'limit', 'jobs --queue', 'bulk remove --dry-run --queue']) {
    expect(await cli([...command.split(' '), 'greting'], cwd)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('There is no queue "greting". Did you mean "greetings"?') as string,
    })
  }
  const settled = ['explain', id]
  await expect.poll(() => cliJson(settled, cwd)).toMatchObject({ reasons: [{ outcome: 'completed' }] })
  expect(await text('remove', id)).toBe(`Removed job ${id} of queue greetings.\n`)
  for (const command of ['explain', 'retry', 'cancel', 'promote', 'remove']) {
    expect(await cli([command, id], cwd)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('JOB_NOT_FOUND') as string,
    })
  }

  await cli(['enqueue', 'fail', '--id', 'broken', '--wait'], cwd)
  expect(await text('bulk', 'retry', '--state', 'failed', '--dry-run')).toBe('1 jobs match. Nothing was changed.\n')
  const [{ runId }] = (await cliJson(['runs', '--status', 'failed'], cwd)) as [Job]
  expect(await text('show', runId)).toMatch(/failed.*the mail server is down\n +at .*server\/queues\/fail\.ts/)
})

test('the log of a run is followed until its end, and its history exported', async () => {
  await using gate = await createGate()
  const talks = `export default async (job, ctx) => {
    await ctx.logger.debug('quiet')
    await ctx.logger.warn('first')
    ${gate.pass}
    await ctx.logger.warn('last')
  }`
  await using project = await createProject({ talks })
  const { cwd } = project
  await using _dev = await startDev(cwd)
  const { runId } = (await cliJson(['enqueue', 'talks'], cwd)) as Job
  await gate.reached
  await using logs = startCli(['logs', runId, '-f', '--level', 'warn'], cwd)
  await logs.until(/first\n/)
  expect((await cli(['logs', runId], cwd)).stdout).toMatch(/quiet\n.*first\n$/)
  await gate.open()
  expect(await logs.ended).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^[^\n]+first\n[^\n]+last\n$/) as string,
  })

  await cli(['export', runId, '--out', 'run.jsonl'], cwd)
  expect((await stat(join(cwd, 'run.jsonl'))).mode & 0o777).toBe(0o600)
  expect((await cli(['export', runId], cwd)).stdout).toBe(await readFile(join(cwd, 'run.jsonl'), 'utf8'))
  expect(await cliJson(['show', 'run.jsonl'], cwd)).toEqual(await cliJson(['show', runId], cwd))
})

test('a command that waits for a job says why the job does not run', async () => {
  await using project = await createProject({ greet: GREET })
  const { cwd } = project
  await using _dev = await startDev(cwd)
  expect(await cli(['pause', 'greetings'], cwd)).toMatchObject({ code: 0 })
  await using waiting = startCli(['enqueue', 'greet', '--data', '{"name":"Ada"}', '--wait'], cwd)
  await waiting.until(/Queue "greetings" is paused/, 'stderr')
  await cli(['resume', 'greetings'], cwd)
  const { code, stdout } = await waiting.ended
  expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringMatching(/Ada/) })
  expect(stdout).not.toContain('paused')
})

test('a job with a known id is not enqueued again', async () => {
  await using project = await createProject({ greet: GREET })
  const { cwd } = project
  await using _dev = await startDev(cwd)
  const enqueue = ['enqueue', 'greet', '--data', '{"name":"Ada"}', '--id', 'once', '--wait']
  const first = (await cliJson(enqueue, cwd)) as Job
  const second = (await cliJson(enqueue, cwd)) as Job
  expect(first.deduplicated).toBe(false)
  expect(second).toEqual({ ...first, deduplicated: true })
})

test('dead letters are moved back to the queue they came from', async () => {
  const fails = `export const config = { queue: 'q', deadLetter: 'dead' }
    export default () => { throw new Error('broken') }`
  await using project = await createProject({ fails })
  const { cwd } = project
  await using _dev = await startDev(cwd)
  expect(await cliJson(['redrive', 'dead'], cwd)).toEqual([])
  const { code, stderr } = await cli(['redrive', 'deda'], cwd)
  expect([code, stderr]).toEqual([2, expect.stringContaining('There is no queue "deda". Did you mean "dead"?')])
  expect((await cli(['enqueue', 'fails', '--wait'], cwd)).code).toBe(1)
  const [moved] = (await cliJson(['redrive', 'dead', '--limit', '1'], cwd)) as { job: Job }[]
  expect(moved).toMatchObject({ job: { queue: 'q', name: 'fails', deduplicated: false } })
  await expect.poll(() => cliJson(['runs', '--status', 'failed'], cwd)).toHaveLength(2)
  expect((await cli(['redrive', 'dead'], cwd)).stdout).toMatch(
    /^dead\.\S+ → job \S+ \(fails on q\)\nMoved 1 dead letter\.\n$/,
  )
})

test('a waiting job is explained', async () => {
  await using project = await createProject({ greet: GREET })
  const { cwd } = project
  await using _dev = await startDev(cwd)
  const { id } = (await cliJson(['enqueue', 'greet', '--delay', '3600000'], cwd)) as { id: string }
  const explained = { id, queue: 'greetings', state: 'delayed', reasons: [{ code: 'delayed' }] }
  expect(await cliJson(['explain', id, '--queue', 'greetings'], cwd)).toMatchObject(explained)
  const { stdout } = await cli(['explain', id], cwd)
  expect(stdout).toMatch(
    new RegExp(`^job ${id}: delayed \\(greet on greetings\\)\n +delayed +It was enqueued to run at`),
  )
})

test('an exported run is replayed with the configuration of the project', async () => {
  await using project = await createProject({})
  const { cwd } = project
  const run = { runId: 'r', status: 'completed', name: 'w', startedAt: 1000, updatedAt: 3000, endedAt: 3000, head: 3 }
  const set = (seq: number, key: string) => ({ seq, ts: seq * 1000, type: 'state.set', data: { key, value: seq } })
  const lines = [run, set(1, 'a'), { seq: 2, ts: 2000, type: 'noted' }, set(3, 'b')].map((line) => JSON.stringify(line))
  await project.write('run.jsonl', `${lines.join('\n')}\n`)
  const replay = async (...args: string[]): Promise<unknown[]> => {
    const { code, stdout } = await cli(['replay', 'run.jsonl', '--json', ...args], cwd)
    expect(code).toBe(0)
    return stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown)
  }
  expect(await replay()).toMatchObject([
    { seq: 1, type: 'state.set', state: { a: 1 } },
    { seq: 2, type: 'noted', state: { a: 1 } },
    { seq: 3, type: 'state.set', state: { a: 1, b: 3 } },
  ])
  expect(await replay('--types', 'noted')).toMatchObject([{ seq: 2, state: { a: 1 } }])
  expect(await replay('--to', '1')).toMatchObject([{ seq: 1 }])
  expect((await cli(['replay', 'run.jsonl'], cwd)).stdout).toMatch(/ 1 .* state\.set .*\n +\{ a: 1 \}\n +2 .* noted/)
  const upcast = `(event) => ({ ...event, type: 'state.set', data: { key: 'noted', value: true } })`
  await project.write('nuxt-queue.config.ts', `export default { upcast: { noted: ${upcast} } }`)
  expect(await cliJson(['state', 'run.jsonl'], cwd)).toEqual({ a: 1, b: 3, noted: true })
  expect(await replay('--to', '2', '--types', 'noted')).toMatchObject([{ type: 'noted', state: { noted: true } }])
})

test('the command waits for a flow until its end, and talks to a run', async () => {
  const flow = (role: string): string => `export const config = { flow: { name: 'words', ${role} } }`
  await using project = await createProject({
    first: `${flow(`role: 'entry'`)}\nexport default (job, ctx) => ctx.flow.emit('word', job.data)`,
    second: `${flow(`role: 'step', subscribes: 'word'`)}\nexport default (job) => job.data.toUpperCase()`,
    talk: `
      export const config = {
        flow: { name: 'talk', role: 'entry' },
        queries: { word: ({ state }) => state.word },
        updates: { word: { handler: ({ input, set }) => (set({ word: input }), { word: input }) } },
      }
      export default (_job, ctx) => ctx.step.waitForSignal('end')`,
  })
  await using _dev = await startDev(project.cwd)
  const job = (await cliJson(['enqueue', 'first', '--data', '"done"', '--wait'], project.cwd)) as Job
  expect(job.result).toBe('DONE')
  const { runId } = (await cliJson(['enqueue', 'talk'], project.cwd)) as Job
  await expect.poll(() => cli(['state', runId], project.cwd)).toMatchObject({ code: 0 })
  const said = await cliJson(['update', runId, 'word', '--data', '"said"', '--id', 'once'], project.cwd)
  expect(said).toEqual({ word: 'said' })
  expect(await cli(['query', runId, 'word'], project.cwd)).toMatchObject({ code: 0, stdout: 'said\n' })
  const misspelt = await cli(['query', runId, 'wrod'], project.cwd)
  expect(misspelt.code).toBe(1)
  expect(misspelt.stderr).toContain('Did you mean "word"?')
  expect(await cli(['signal', runId, 'end'], project.cwd)).toMatchObject({ code: 0, stdout: 'Signal end: sent.\n' })
  await expect.poll(() => cli(['update', runId, 'word'], project.cwd)).toMatchObject({ code: 1 })
})

test('an edited worker runs its new code for the next job, and queued jobs survive', async () => {
  await using gate = await createGate()
  const worker = (version: number): string =>
    `export default async (job) => { if (job.data === 'hold') { ${gate.pass} } return ${version} }`
  await using project = await createProject({ versioned: worker(1) })
  const { cwd } = project
  await using dev = await startDev(cwd)
  const enqueue = (data: string): Promise<unknown> =>
    cliJson(['enqueue', 'versioned', '--data', JSON.stringify(data), '--wait'], cwd)

  const held = enqueue('hold')
  await gate.reached
  const queued = (await cliJson(['enqueue', 'versioned', '--data', '"queued"', '--id', 'queued'], cwd)) as Job
  await project.write('server/queues/versioned.ts', worker(2))
  await dev.until(/versioned reloaded/)
  await gate.open()

  expect(await held).toMatchObject({ result: 1 })
  const again = (await cliJson(['enqueue', 'versioned', '--id', 'queued', '--wait'], cwd)) as Job
  expect(again).toMatchObject({ runId: queued.runId, deduplicated: true, result: 2 })
  expect(await enqueue('new')).toMatchObject({ result: 2 })
})

test.each(['SIGTERM', 'SIGINT'] as const)('%s ends a dev process once its running job is done', async (signal) => {
  await using gate = await createGate()
  await using project = await createProject({ held: `export default async () => { ${gate.pass} }` })
  const { cwd } = project
  await using dev = await startDev(cwd)
  await cli(['enqueue', 'held'], cwd)
  await gate.reached
  dev.kill(signal)
  await dev.until(/closing/)
  await gate.open()
  const { code, stdout } = await dev.ended
  expect(code).toBe(0)
  expect(stdout).toMatch(/held +completed/)
  expect(existsSync(socketOf(cwd))).toBe(false)
})

test('a waiting command fails when the dev process ends', async () => {
  await using gate = await createGate()
  await using project = await createProject({ held: `export default async () => { ${gate.pass} }` })
  await using dev = await startDev(project.cwd)
  const waiting = cliProcess(['enqueue', 'held', '--wait', '--json'], project.cwd)
  await gate.reached
  dev.kill('SIGKILL')
  const { code, stdout } = await waiting
  expect(code).toBe(1)
  expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'DEV_MISSING' } })
})

describe('the socket of a folder', () => {
  test('is open to its user alone', async () => {
    await using project = await createProject({})
    await using _dev = await startDev(project.cwd)
    expect((await stat(socketOf(project.cwd))).mode & 0o777).toBe(0o600)
  })

  test('has one dev process, and a second one is rejected with the pid of the first', async () => {
    await using project = await createProject({})
    await using dev = await startDev(project.cwd)
    const { code, stderr } = await cliProcess(['dev'], project.cwd)
    expect(code).toBe(1)
    expect(stderr).toContain(`Process ${dev.pid} already serves`)
    expect(stderr).toContain('DEV_RUNNING')
    expect((await cli(['runs'], project.cwd)).code).toBe(0)
  })

  test('is taken over from a process that died', async () => {
    await using project = await createProject({ greet: GREET })
    const dead = await startDev(project.cwd)
    dead.kill('SIGKILL')
    await dead.ended
    expect(existsSync(socketOf(project.cwd))).toBe(true)
    await using _dev = await startDev(project.cwd)
    expect(await cliJson(['enqueue', 'greet', '--data', '{"name":"Ada"}', '--wait'], project.cwd)).toMatchObject({
      result: { greeting: 'hello Ada' },
    })
  })

  test('responds to invalid input with an error and continues', async () => {
    await using project = await createProject({})
    await using dev = await startDev(project.cwd)
    const socket = connect(socketOf(project.cwd)).setEncoding('utf8')
    const answers = createInterface(socket)[Symbol.asyncIterator]()
    const answerTo = async (line: string): Promise<unknown> => {
      socket.write(`${line}\n`)
      return JSON.parse((await answers.next()).value as string)
    }
    const error = (message: string): object => ({ message: expect.stringContaining(message) as string })
    expect(await answerTo('nonsense')).toMatchObject({ id: 0, error: error('not valid JSON') })
    expect(await answerTo('null')).toMatchObject({ id: 0, error: error('no request') })
    expect(await answerTo('{"id":1,"method":"reboot"}')).toMatchObject({ id: 1, error: error('no request "reboot"') })
    expect(await answerTo('{"id":2,"method":"run","params":{}}')).toMatchObject({ id: 2, error: error('"run"') })
    expect(await answerTo('{"id":3,"method":"hello","params":{}}')).toEqual({
      id: 3,
      result: { pid: dev.pid, cwd: project.cwd },
    })
    socket.destroy()
  })
})

describe('without a dev process', () => {
  test.each([['enqueue', 'greet'], ['redrive', 'dead'], ['runs'], ['show', 'r'], ['state', 'r']])(
    '%s says so',
    async (...command) => {
      await using project = await createProject({ greet: GREET })
      const { code, stdout } = await cli([...command, '--json'], project.cwd)
      expect(code).toBe(1)
      expect(JSON.parse(stdout)).toMatchObject({
        error: { code: 'DEV_MISSING', message: expect.stringContaining('npx nuxt-queue dev') as string },
      })
    },
  )
})

test('a worker file that cannot be loaded is reported, and the others run', async () => {
  await using project = await createProject({ greet: GREET, broken: 'export default ((' })
  await using dev = await startDev(project.cwd)
  const job = await cliJson(['enqueue', 'greet', '--data', '{"name":"Ada"}', '--wait'], project.cwd)
  expect(job).toMatchObject({ result: { greeting: 'hello Ada' } })
  await project.write('server/queues/broken.ts', `export default () => 'mended'`)
  await dev.until(/broken loaded/)
  expect(await cliJson(['enqueue', 'broken', '--wait'], project.cwd)).toMatchObject({ result: 'mended' })
  dev.kill('SIGTERM')
  expect((await dev.ended).stderr).toMatch(/✖ Worker file .*broken\.ts is skipped/)
})

test('a failure exits with 1, and prints its reason and its code', async () => {
  await using project = await createProject({ greet: GREET, fail: FAIL })
  const { cwd } = project
  await using _dev = await startDev(cwd)
  const failures: [string[], string][] = [
    [['enqueue', 'nobody'], 'There is no worker "nobody". Known: '],
    [['enqueue', 'fail', '--wait'], 'the mail server is down'],
    [['show', 'nothing'], 'There is no run "nothing".'],
    [['state', 'nothing'], 'There is no run "nothing".'],
    [['state', 'nothing.jsonl'], 'nothing.jsonl cannot be read'],
    [['show', 'package.json.jsonl'], 'package.json.jsonl cannot be read'],
  ]
  const nobody = await cliProcess(['enqueue', 'nobody'], cwd)
  const explained = /There is no worker "nobody".*\n\nSee: nuxt-queue\/docs\/reference\/errors\.md#worker_unknown\n$/
  expect(nobody).toMatchObject({ code: 1, stderr: expect.stringMatching(explained) as string })
  for (const [command, message] of failures) {
    const { code, stderr } = await cli(command, cwd)
    expect({ command, code, stderr }).toEqual({ command, code: 1, stderr: expect.stringContaining(message) as string })
  }
})

test.each([
  [['expalin'], 'There is no command "expalin". Did you mean "explain"?'],
  [['completion', 'tcsh'], 'completion takes bash, zsh, fish'],
  [['enqueue'], 'Missing required positional argument: WORKER'],
  [['enqueue', 'greet', '--data', '{'], '--data takes JSON'],
  [['enqueue', 'greet', '--delay', 'soon'], '--delay takes a whole number'],
  [['enqueue', 'greet', 'twice'], 'one argument too many: "twice"'],
  [['runs', '--status', 'odd'], '--status takes one of'],
  [['runs', '--tags', 'a'], 'no option --tags. Did you mean "tag"?'],
  [['logs', 'r', '--level', 'loud'], '--level takes one of'],
  [['runs', 'run-1'], 'runs takes a history file'],
  [['replay', 'run-1'], 'replay takes a history file'],
  [['state', 'r', '--at', 'yesterday'], '--at takes the seq of an event or an ISO date'],
])('%j cannot be understood and exits with 2', async (command, message) => {
  await using project = await createProject({ greet: GREET })
  const { code, stderr } = await cli(command, project.cwd)
  expect(code).toBe(2)
  expect(stderr).toContain(message)
})

test('help and version exit with 0, an invalid command line with 2', async () => {
  const help = await cliProcess(['--help'], '.')
  expect(help).toMatchObject({ code: 0, stdout: expect.stringMatching(/nuxt-queue <command> \[options\]\n/) as string })
  expect(help.stdout).toContain('enqueue')
  expect(await cliProcess([], '.')).toEqual(help)
  expect(await cli(['state', '--help'], '.')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('--at') as string,
  })
  expect(await cli(['help', 'state'], '.')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('EXAMPLES') as string,
  })
  const version = await cliProcess(['-v'], '.')
  expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
  expect(await cliProcess(['--version'], '.')).toEqual(version)
  expect((await cliProcess(['expalin'], '.')).code).toBe(2)
})

test('a command starts without the library of schemas, which would take half of its time', async () => {
  const hook = `import { registerHooks } from 'node:module'
    registerHooks({ load: (url, context, next) => (url.includes('/zod/') && console.error(url), next(url, context)) })`
  const loaded = `data:text/javascript,${encodeURIComponent(hook)}`
  expect(await startNode(['--import', loaded, BIN, '--version'], ROOT).ended).toMatchObject({ code: 0, stderr: '' })
})

test('bash completes commands and options', async () => {
  const { stdout } = await cli(['completion', 'bash'], '.')
  const complete = async (line: string, at: number): Promise<string> => {
    const words = line.split(' ')
    const script = `${stdout}\nCOMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${at}; _nuxt_queue; echo "\${COMPREPLY[@]}"`
    return (await promisify(execFile)('bash', ['-c', script])).stdout.trim()
  }
  expect(await complete('nuxt-queue re', 1)).toBe('retry reschedule remove resume redrive replay')
  expect(await complete('nuxt-queue runs --st', 2)).toBe('--status')
})

const TOKEN = 'a-token-of-enough-letters'
const BEARER = { authorization: `Bearer ${TOKEN}` }

const MEMORY = { NUXT_QUEUE_ADAPTER: 'memory' }

test('start is production for any NODE_ENV, requires a store, and does not listen to other machines without protection', async () => {
  await using project = await createProject({ greet: GREET })
  const { cwd } = project
  const homeless = await cliProcess(['start'], cwd)
  expect(homeless).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('Set REDIS_URL or DATABASE_URL') as string,
  })
  const refused = await startCli(['start', '--http', '0', '--host', '0.0.0.0'], cwd, MEMORY).ended
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('NUXT_QUEUE_HTTP_TOKEN') as string })
  await using start = startCli(['start', '--json', '--http', '0'], cwd, MEMORY)
  const { url } = JSON.parse((await start.until(/.+\n/))[0]) as { url: string }
  expect((await fetch(`${url}/_queue/api/queues`)).status).toBe(404)
  start.kill('SIGTERM')
  expect((await start.ended).code).toBe(0)
})

test('start runs workers and serves HTTP until a signal, and waits for running jobs', async () => {
  await using gate = await createGate()
  const slow = `export default async () => { ${gate.pass}; return 'done' }`
  await using project = await createProject({ greet: GREET, slow })
  const { cwd } = project
  await using start = startCli(['start', '--json', '--http', '0'], cwd, { ...MEMORY, NUXT_QUEUE_HTTP_TOKEN: TOKEN })
  const { url, workers } = JSON.parse((await start.until(/.+\n/))[0]) as { url: string; workers: { id: string }[] }
  expect(workers.map(({ id }) => id)).toEqual(['greet', 'slow'])

  const post = async (worker: string): Promise<{ runId: string }> => {
    const init = { method: 'POST', headers: { ...BEARER, 'content-type': 'application/json' } }
    const response = await fetch(`${url}/_queue/api/jobs`, {
      ...init,
      body: JSON.stringify({ worker, data: { name: 'Ada' } }),
    })
    return (await response.json()) as { runId: string }
  }
  const { runId } = await post('greet')
  const result = await fetch(`${url}/_queue/api/runs/${runId}/result?wait=30000`, { headers: BEARER })
  expect(await result.json()).toEqual({ status: 'completed', result: { greeting: 'hello Ada' } })
  expect(await cliJson(['runs'], cwd)).toMatchObject([{ runId, status: 'completed' }])

  const { runId: running } = await post('slow')
  await gate.reached
  const stream = await fetch(`${url}/_queue/api/runs/${running}/stream`, { headers: BEARER })
  start.kill('SIGTERM')
  await gate.open()
  expect(await stream.text()).toContain('event: end')
  expect((await start.ended).code).toBe(0)
})

test('a command reads the store of a Nuxt project, whose workers import nothing', async () => {
  const greet = `export const config = defineWorkerConfig({ queue: 'mail' })\nexport default defineQueueWorker(() => useQueue())`
  await using project = await createProject({ greet })
  await writeFile(join(project.cwd, 'nuxt-queue.config.ts'), `export default { adapter: 'file' }`)
  expect(await cli(['enqueue', 'greet'], project.cwd)).toMatchObject({ code: 0, stderr: '' })
  expect(await cliJson(['queues'], project.cwd)).toMatchObject([{ name: 'mail' }])
})

test('start without workers enqueues jobs for other processes', async () => {
  await using project = await createProject({ greet: GREET })
  const { cwd } = project
  expect((await cliProcess(['start', '--no-worker'], cwd)).code).toBe(2)
  await using start = startCli(['start', '--json', '--no-worker', '--http', '0'], cwd, {
    ...MEMORY,
    NUXT_QUEUE_HTTP_TOKEN: TOKEN,
  })
  const { url, started } = JSON.parse((await start.until(/.+\n/))[0]) as { url: string; started: boolean }
  expect(started).toBe(false)
  const health = await fetch(`${url}/_queue/api/health`)
  expect([health.status, await health.json()]).toEqual([200, expect.objectContaining({ status: 'ok' })])
  start.kill('SIGTERM')
  expect((await start.ended).code).toBe(0)
  await writeFile(join(cwd, 'nuxt-queue.config.ts'), 'export default { worker: false }')
  expect(await cliProcess(['start'], cwd)).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--http') as string,
  })
})
