import { defineCommand, type ArgsDef, type CommandDef } from 'citty'
import { resolve } from 'pathe'
import {
  assertHistoryFile,
  assertKnown,
  common,
  isHistoryFile,
  parseData,
  parseMoment,
  parseStatus,
  parseWhole,
} from './arguments.ts'
import { openBackend, type Host } from './backend.ts'
import { openHistory, type OpenedHistory } from './history.ts'
import { createOutput, formatRun, type Output } from './output.ts'
import type { Backend } from './protocol.ts'
import { httpArgs, parseHttp } from './serving.ts'
import { createTimeline } from './timeline.ts'

interface Call {
  cwd: string
  output: Output
}
type Given = Record<string, unknown> & { _: string[]; json?: boolean; cwd?: string }

const target = {
  type: 'positional',
  required: true,
  description: 'The id of a run, or a history file (*.jsonl)',
} as const

export function createCommands(host: Host): Record<string, CommandDef> {
  /** Defines a command with the shared arguments, and checks its arguments. */
  function command<const A extends ArgsDef>(
    description: string,
    args: A,
    run: (args: Parameters<NonNullable<CommandDef<A & typeof common>['run']>>[0]['args'], call: Call) => Promise<void>,
  ): CommandDef {
    const all = { ...args, ...common }
    return defineCommand({
      meta: { description },
      args: all,
      async run({ args: parsed }) {
        const given = parsed as Given
        assertKnown(given, all)
        await run(parsed as never, { cwd: resolve(given.cwd ?? '.'), output: createOutput(given.json === true) })
      },
    }) as CommandDef
  }

  async function using<B extends Backend>(opening: Promise<B>, use: (backend: B) => Promise<void>): Promise<void> {
    const backend = await opening
    try {
      await use(backend)
    } finally {
      await backend.close()
    }
  }

  async function openHistoryFile(file: string, cwd: string): Promise<OpenedHistory> {
    const { upcast } = await host.loadQueueConfig({ cwd })
    return openHistory(resolve(cwd, file), await host.memory(), cwd, { upcast })
  }

  /** Returns the backend that has the run: the named history file, or the project. */
  async function openRun(run: string, cwd: string): Promise<Backend & { runId: string }> {
    if (isHistoryFile(run)) return openHistoryFile(run, cwd)
    return { ...(await openBackend(host, cwd)), runId: run }
  }

  const dev = command(
    'Run the workers of a project and print what happens',
    httpArgs,
    async (args, { cwd, output }) => {
      const http = parseHttp(args)
      const { runDev } = await import('./dev.ts')
      return runDev(host, cwd, output, http)
    },
  )

  const start = command(
    'Run the workers of a project in production',
    {
      ...httpArgs,
      worker: { type: 'boolean', default: true, description: 'Run jobs', negativeDescription: 'Serve HTTP only' },
    },
    async ({ worker, ...args }, { cwd, output }) => {
      const http = parseHttp(args)
      const { runStart } = await import('./start.ts')
      return runStart(host, cwd, output, { worker, http })
    },
  )

  const enqueue = command(
    'Enqueue a job',
    {
      worker: {
        type: 'positional',
        required: true,
        description: 'The id of a worker, which is its path below the workers folder',
      },
      data: { type: 'string', valueHint: 'JSON', description: 'The data of the job' },
      id: { type: 'string', description: 'The id of the job. If a job with this id exists, no other is added' },
      delay: { type: 'string', valueHint: 'ms', description: 'Milliseconds before the job runs' },
      wait: { type: 'boolean', description: 'Wait for the end of the job, or of its flow, and print the result' },
    },
    ({ worker, data, id, delay, wait }, { cwd, output }) => {
      const request = { worker, id, data: parseData(data), delay: parseWhole('delay', delay) }
      return using(openBackend(host, cwd), async (backend) => {
        const job = await backend.ask('enqueue', request)
        output.line(`${job.deduplicated ? 'Already exists' : 'Enqueued'}: job ${job.id}, run ${job.runId}`)
        if (!wait) {
          if (output.json) output.value(job)
          return
        }
        const result = await backend.ask('result', job)
        if (output.json) output.value({ ...job, result })
        else output.block(result)
      })
    },
  )

  const runs = command(
    'List runs, with the newest first',
    {
      file: { type: 'positional', required: false, description: 'A history file instead of the project' },
      status: { type: 'string', description: 'running, completed, failed or cancelled' },
      flow: { type: 'string', description: 'Only runs of this flow' },
      tag: { type: 'string', description: 'Only runs with this tag' },
      limit: { type: 'string', description: 'The largest number of runs', default: '20' },
    },
    ({ file, status, flow, tag, limit }, { cwd, output }) => {
      if (file !== undefined) assertHistoryFile('runs', file)
      const filter = { status: parseStatus(status), flow, tag, limit: parseWhole('limit', limit) }
      return using(file === undefined ? openBackend(host, cwd) : openHistoryFile(file, cwd), async (backend) => {
        const found = await backend.ask('runs', filter)
        if (output.json) return output.value(found)
        if (found.length === 0) output.line('No runs.')
        for (const run of found) output.line(formatRun(run))
      })
    },
  )

  const show = command('Show the events of a run', { run: target }, ({ run }, { cwd, output }) =>
    using(openRun(run, cwd), async (backend) => {
      const history = await backend.ask('run', { runId: backend.runId })
      if (output.json) return output.value(history)
      const timeline = createTimeline({ all: true })
      output.line(formatRun(history.run))
      for (const event of history.events) output.line(timeline.event(event)!)
    }),
  )

  const state = command(
    'Show the state of a run, now or at an earlier moment',
    {
      run: target,
      at: { type: 'string', valueHint: 'seq|date', description: 'The seq of an event, or an ISO date. Default: now' },
    },
    ({ run, at }, { cwd, output }) => {
      const moment = parseMoment(at)
      return using(openRun(run, cwd), async (backend) => {
        const folded = await backend.ask('state', { runId: backend.runId, at: moment })
        if (output.json) output.value(folded)
        else output.block(folded)
      })
    },
  )

  const replay = command(
    'Step through the events of an exported run and show the state after each',
    {
      file: { type: 'positional', required: true, description: 'A history file (*.jsonl)' },
      to: { type: 'string', valueHint: 'seq', description: 'The last event. Default: all events' },
      types: { type: 'string', valueHint: 'a,b', description: 'Only events of these types. Default: all' },
    },
    ({ file, to, types }, { cwd, output }) => {
      const filter = { to: parseWhole('to', to), types: types?.split(',') }
      assertHistoryFile('replay', file)
      return using(openHistoryFile(file, cwd), async ({ recording }) => {
        const { printReplay, stepThrough } = await import('./replay.ts')
        const interactive = !output.json && process.stdin.isTTY && process.stdout.isTTY
        if (interactive) return stepThrough(recording, filter, { input: process.stdin, output: process.stdout })
        return printReplay(recording, filter, output)
      })
    },
  )

  const explain = command(
    'Explain why a job does not run, or how it ended',
    {
      job: { type: 'positional', required: true, description: 'The id of a job' },
      queue: { type: 'string', description: 'The queue of the job. Default: all queues are searched' },
    },
    ({ job, queue }, { cwd, output }) =>
      using(openBackend(host, cwd), async (backend) => {
        const explanation = await backend.ask('explain', { id: job, queue })
        if (output.json) return output.value(explanation)
        const { name, queue: found, state = 'unknown', reasons } = explanation
        output.line(`job ${job}: ${state}${name === undefined ? '' : ` (${name} on ${found})`}`)
        for (const { code, sentence } of reasons) output.line(`  ${code.padEnd(15)}  ${sentence}`)
      }),
  )

  const redrive = command(
    'Move dead letters back to the queues that they came from',
    {
      queue: { type: 'positional', required: true, description: 'The queue that holds the dead letters' },
      limit: { type: 'string', description: 'The largest number of letters. Default: all' },
    },
    ({ queue, limit }, { cwd, output }) =>
      using(openBackend(host, cwd), async (backend) => {
        const moved = await backend.ask('redrive', { queue, limit: parseWhole('limit', limit) })
        if (output.json) return output.value(moved)
        for (const { letter, job } of moved) output.line(`${letter} → job ${job.id} (${job.name} on ${job.queue})`)
        output.line(`Moved ${moved.length} dead ${moved.length === 1 ? 'letter' : 'letters'}.`)
      }),
  )

  return { dev, start, enqueue, runs, show, state, replay, explain, redrive }
}
