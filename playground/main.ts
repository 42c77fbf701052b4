import { parseArgs } from 'node:util'
import { createKernel, type StoredEvent } from 'nuxt-queue'
import { followTimeline, formatDuration } from 'nuxt-queue/plugins/cli'
import { relative, resolve } from 'pathe'
import queueConfig from './nuxt-queue.config.ts'
import { outputOf, PLAYGROUND } from './lib/paths.ts'
import { startStore } from './lib/store.ts'
import { state } from './lib/state.ts'
import { ranked, sum } from './lib/statistics.ts'

type Print = (line: string) => void

/** Runs the flow over a file of strikes and returns a summary of the run. */
async function run(preset: string, file: string | undefined, python: object, print: Print) {
  await using store = await startStore(preset, print)
  print(`Opening the store of the preset ${preset} …`)
  const kernel = await createKernel({
    preset,
    config: {
      ...store.config,
      registry: { rootDir: PLAYGROUND, dirs: ['queues'] },
      python: { rootDir: PLAYGROUND, ...(queueConfig.python as object), ...python },
    },
  })
  try {
    print('Starting the workers …')
    await kernel.start()
    const runId = `birdstrikes-${new Date().toISOString().replaceAll(/[-:Z]/g, '').replaceAll(/[T.]/g, '-')}`
    await followTimeline(kernel.port('events'), runId, print)
    const flow = kernel.flow('birdstrikes')
    await flow.start(file === undefined ? {} : { file: resolve(file) }, { id: runId })
    const historyFile = outputOf(`${runId}.jsonl`)
    const ended = await Promise.allSettled([flow.result(runId)])
    const { run, events } = await kernel.exportRun(runId, historyFile)
    if (ended[0].status === 'rejected') throw Object.assign(ended[0].reason as Error, { historyFile })
    const { read, years, files } = state.parse(await kernel.state(runId))
    return { runId, read, years, files, historyFile, duration: run.endedAt! - run.startedAt, events }
  } finally {
    await kernel.close()
  }
}

/** Returns the `seq` at which half of the years are done. */
function halfWay(events: readonly StoredEvent[]): number {
  const writes = events.filter(({ type, step }) => type === 'state.set' && step === 'year')
  return writes[Math.floor(writes.length / 2)]!.seq
}

// A reader such as `head` may close the pipe early.
process.stdout.on('error', () => process.exit(0))

const here = (path: string): string => relative(process.cwd(), path)

try {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean' },
      file: { type: 'string' },
      preset: { type: 'string', default: 'dev' },
      python: { type: 'string' },
    },
  })
  const print: Print = values.json ? () => {} : (line) => void process.stdout.write(`${line}\n`)
  const { runId, read, years, files, historyFile, duration, events } = await run(
    values.preset,
    values.file,
    values.python === undefined ? {} : { command: values.python },
    print,
  )
  const summary = {
    run: runId,
    preset: values.preset,
    rows: { read: read.rows, good: read.good, bad: read.rows - read.good, reasons: read.bad },
    strikes: sum(Object.values(years).map(({ strikes }) => strikes)),
    cost: sum(Object.values(years).map(({ cost }) => cost)),
    partitions: Object.fromEntries(Object.entries(years).map(([year, { strikes }]) => [year, strikes])),
    durationMs: duration,
    events: events.length,
    report: here(outputOf(runId, files.report)),
    chart: here(outputOf(runId, files.chart)),
    history: here(historyFile),
    stateCommand: `npm run -s nuxt-queue -- state ${here(historyFile)} --at ${halfWay(events)}`,
  }
  if (values.json) process.stdout.write(`${JSON.stringify(summary)}\n`)
  const reasons = ranked(read.bad).map(([reason, rows]) => `  ${String(rows).padStart(7)}  ${reason}`)
  print(
    [
      '',
      `${read.rows} rows read, ${sum(Object.values(read.bad))} left out:`,
      ...reasons,
      `${Object.keys(years).length} years, ${events.length} events, ${formatDuration(duration)}`,
      '',
      `Report   ${summary.report}`,
      `Chart    ${summary.chart}`,
      `History  ${summary.history}`,
      '',
      'The state of the run when half of the years were done, or with another number at any moment:',
      '',
      `  ${summary.stateCommand}`,
      '',
    ].join('\n'),
  )
} catch (error) {
  const { message, historyFile } = error as Error & { historyFile?: string }
  const look = historyFile === undefined ? '' : `\nSee: npm run -s nuxt-queue -- show ${here(historyFile)}`
  process.stderr.write(`The run failed: ${message}${look}\n`)
  process.exitCode = 1
}
