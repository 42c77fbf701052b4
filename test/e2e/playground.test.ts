import { exec } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { parse } from 'csv-parse/sync'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { datasetFile } from '../../playground/lib/paths.ts'
import { cli, cliJson } from './cli-in-process.ts'
import { ROOT, startNode, type Finished } from './processes.ts'

interface Summary {
  run: string
  rows: { read: number; good: number; bad: number; reasons: Record<string, number> }
  strikes: number
  cost: number
  partitions: Record<string, number>
  events: number
  report: string
  chart: string
  history: string
  stateCommand: string
}
type Row = Record<
  'Flight Date' | 'Phase of flight' | 'Effect Amount of damage' | 'Cost Repair' | 'Cost Total $' | 'Speed IAS in knots',
  string
>

const left: string[] = []
afterAll(async () => {
  for (const run of left) {
    await rm(join(ROOT, 'playground/output', run), { recursive: true, force: true })
    await rm(join(ROOT, 'playground/output', `${run}.jsonl`), { force: true })
  }
})

function play(...args: string[]): Promise<Finished> {
  return startNode(['playground/main.ts', ...args], ROOT).ended
}

function summaryOf({ stdout }: Finished): Summary {
  const summary = JSON.parse(stdout) as Summary
  left.push(summary.run)
  return summary
}

/** Computes the same results with plain comparisons, without a schema and without a flow. */
function expected(rows: Row[]) {
  const seen = new Set<string>()
  const reasons: Record<string, number> = {}
  const partitions: Record<string, number> = {}
  let cost = 0
  for (const row of rows) {
    const phase = row['Phase of flight']
    const speed = row['Speed IAS in knots'] === '' ? undefined : Number(row['Speed IAS in knots'])
    const line = Object.values(row).join('\t')
    let reason: string | undefined
    if (seen.has(line)) reason = 'repeats an earlier row'
    else if (row['Effect Amount of damage'].length === 1) reason = 'damage class unknown'
    else if (row['Effect Amount of damage'] === 'None' && row['Cost Repair'] !== '0')
      reason = 'repair cost without damage'
    else if (speed === 0 && phase !== 'Taxi' && phase !== 'Parked') reason = 'in motion at 0 knots'
    else if (phase === 'Taxi' && speed! > 60) reason = 'too fast for the ground'
    else if (/^Take-off run$|^Landing Roll$/.test(phase) && speed! > 250) reason = 'too fast for the ground'
    seen.add(line)
    if (reason === undefined) {
      const year = row['Flight Date'].slice(0, 4)
      partitions[year] = (partitions[year] ?? 0) + 1
      cost += Number(row['Cost Total $'])
    } else reasons[reason] = (reasons[reason] ?? 0) + 1
  }
  return { reasons, partitions, cost, bad: sum(reasons), good: sum(partitions) }
}

function sum(counts: Record<string, number>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0)
}

/** The names of an XML document's elements in order. Throws where tags do not match or text is not escaped. */
function elementsOf(xml: string): string[] {
  const open: string[] = []
  const names: string[] = []
  const rest = xml.replaceAll(
    /<(\/?)([\w:]+)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>/g,
    (_, closing, name: string, _attributes, empty) => {
      if (closing === '') names.push(name)
      else if (open.pop() !== name) throw new Error(`</${name}> closes nothing`)
      if (closing === '' && empty === '') open.push(name)
      return ''
    },
  )
  expect(open).toEqual([])
  expect(rest).not.toMatch(/[<>]|&(?!(?:amp|lt|gt|quot);)/)
  return names
}

describe('the flow over ten thousand rows', () => {
  let finished: Finished
  let summary: Summary
  let truth: ReturnType<typeof expected>

  beforeAll(async () => {
    finished = await play('--json')
    summary = summaryOf(finished)
    truth = expected(parse<Row>(await readFile(datasetFile()), { columns: true }))
  })

  test('succeeds and prints its summary as one line of JSON', () => {
    expect(finished).toMatchObject({ code: 0, stderr: '' })
    expect(finished.stdout).toMatch(/^\{.*\}\n$/)
  })

  test('counts the rows of the file', () => {
    const { bad, good, reasons, partitions, cost } = truth
    expect(summary.rows).toEqual({ read: 10_000, good, bad, reasons })
    expect(summary).toMatchObject({ strikes: good, cost, partitions })
    expect(bad).toBeGreaterThan(0)
    expect(Object.keys(partitions)).toHaveLength(13)
  })

  test('runs one job for each year, and the chart and the report once', async () => {
    const { run, events } = (await cliJson(['show', summary.history], ROOT)) as {
      run: { runId: string }
      events: { type: string; step?: string }[]
    }
    const completed = events.filter(({ type }) => type === 'step.completed').map(({ step }) => step)
    expect(run).toMatchObject({ runId: summary.run, flow: 'birdstrikes', status: 'completed', head: summary.events })
    expect(completed).toEqual(['read', ...Array.from({ length: 13 }, () => 'year'), 'chart', 'report'])
    expect(events.at(-1)!.type).toBe('flow.completed')
  })

  test('leaves a report that shows the chart, each year and each reason', async () => {
    const report = await readFile(join(ROOT, summary.report), 'utf8')
    expect(report).toContain(`](${summary.chart.split('/').at(-1)})`)
    for (const [year, strikes] of Object.entries(truth.partitions)) {
      expect(report).toMatch(new RegExp(`^\\| ${year}(\\\\\\*)? \\| ${strikes.toLocaleString('en')} \\|`, 'm'))
    }
    for (const [reason, rows] of Object.entries(truth.reasons)) expect(report).toContain(`| ${reason} | ${rows} |`)
    expect(report).toContain(`$${truth.cost.toLocaleString('en')}`)
    expect(report).not.toMatch(/undefined|NaN|\[object/)
  })

  test('draws a valid, labelled chart with a bar for each year and layer', async () => {
    const svg = await readFile(join(ROOT, summary.chart), 'utf8')
    const elements = elementsOf(svg)
    expect(elements[0]).toBe('svg')
    expect(elements).toContain('title')
    expect(svg.match(/<rect[^>]*><title>/g)).toHaveLength(13 * 3)
    for (const [year, strikes] of Object.entries(truth.partitions)) {
      expect(svg).toMatch(new RegExp(`>${year}\\*?</text>`))
      expect(svg).toContain(`>${strikes.toLocaleString('en')}</text>`)
    }
    expect(svg).not.toMatch(/NaN|undefined/)
  })

  test('prints a command that shows the run at its half', async () => {
    const PATH = [dirname(process.execPath), process.env.PATH].join(delimiter)
    const command = `${summary.stateCommand} --json`
    const { stdout } = await promisify(exec)(command, { cwd: ROOT, env: { ...process.env, PATH } })
    const { read, years } = JSON.parse(stdout) as { read: object; years: Record<string, { strikes: number }> }
    expect(read).toMatchObject({ rows: 10_000, bad: truth.reasons })
    expect(Object.keys(years)).toHaveLength(7)
    for (const [year, { strikes }] of Object.entries(years)) expect(strikes).toBe(truth.partitions[year])
  })

  test('has a history that shows its state at any moment', async () => {
    expect(await cliJson(['state', summary.history, '--at', '1'], ROOT)).toEqual({})
    const end = (await cliJson(['state', summary.history], ROOT)) as { years: object; files: object }
    expect(Object.keys(end.years)).toHaveLength(13)
    expect(end.files).toEqual({ report: 'report.md', chart: 'strikes-by-year.svg' })
    expect(await cliJson(['runs', summary.history], ROOT)).toMatchObject([{ runId: summary.run, status: 'completed' }])
    expect(await cliJson(['runs', summary.history, '--status', 'failed'], ROOT)).toEqual([])
  })

  test('computes the same statistics in process without Python, with a warning', async () => {
    const instead = await play('--json', '--python', 'no-such-python')
    const { history } = summaryOf(instead)
    expect(instead.stderr).toMatch(/year\.py is replaced by .*lib\/year\.ts, as the option "python\.fallback" says/)
    expect(await cliJson(['state', history], ROOT)).toEqual(await cliJson(['state', summary.history], ROOT))
  })
})

describe('a custom file', () => {
  const good = ['A', 'B', 'None', '1999-05-01', 'C', 'Ohio', 'Climb', 'Small', 'Killdeer', 'Day', '0', '0', '0', '120']
  const broken: [column: number, value: string, reason: string][] = [
    [3, '1999-02-30', 'date cannot be read'],
    [3, 'May 1st', 'date cannot be read'],
    [3, '1889-05-01', 'date outside the period of the database'],
    [3, '2999-05-01', 'date outside the period of the database'],
    [5, ' ', 'state missing'],
    [0, '', 'airport missing'],
    [8, '', 'species missing'],
    [6, 'Sleeping', 'flight phase unknown'],
    [10, '-5', 'cost is negative'],
    [11, 'a lot', 'cost is not a number'],
    [12, '7', 'costs do not add up'],
    [13, 'fast', 'speed is not a number'],
    [13, '-1', 'speed is negative'],
  ]
  const withHeader = async (rows: readonly (readonly string[])[]): Promise<string> => {
    const [header] = (await readFile(datasetFile(), 'utf8')).split(/\r?\n/, 1)
    return [header, ...rows.map((row) => row.join(','))].join('\n')
  }
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nuxt-queue-'))
  })
  afterAll(() => rm(folder, { recursive: true }))

  test('counts invalid rows by reason and uses the others', async () => {
    const rows = broken.map(([column, value]) => good.with(column, value))
    const file = join(folder, 'broken.csv')
    await writeFile(file, await withHeader([good, ...rows, good, good.slice(0, 5)]))
    const { rows: counted, strikes } = summaryOf(await play('--json', '--file', file))
    const reasons: Record<string, number> = { 'repeats an earlier row': 1 }
    for (const [, , reason] of broken) reasons[reason] = (reasons[reason] ?? 0) + 1
    const { 'state missing': missing = 0, ...others } = reasons
    expect(counted.reasons).toEqual({ ...others, 'state missing': missing + 1 })
    expect(counted).toMatchObject({ read: broken.length + 3, good: 1 })
    expect(strikes).toBe(1)
  })

  test('fails the run without a usable row, and its history has the reason', async () => {
    const file = join(folder, 'empty.csv')
    await writeFile(file, await withHeader([good.with(5, '')]))
    const { code, stdout, stderr } = await play('--json', '--file', file)
    const run = /birdstrikes-[\d-]+/.exec(stderr)![0]
    left.push(run)
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain(`None of the 1 rows of ${file} can be used.`)
    expect((await cli(['show', `playground/output/${run}.jsonl`], ROOT)).stdout).toMatch(
      /flow failed.*None of the 1 rows/,
    )
  })
})

test('a path that is not a file fails the run', async () => {
  const { code, stderr } = await play('--json', '--file', 'playground')
  left.push(/birdstrikes-[\d-]+/.exec(stderr)![0])
  expect(code).toBe(1)
  expect(stderr).toMatch(/^The run failed: EISDIR/)
})

test('without a terminal the timeline is plain lines', async () => {
  const { code, stdout } = await play()
  left.push(/run (birdstrikes-[\d-]+)/.exec(stdout)![1]!)
  expect(code).toBe(0)
  expect(stdout).toMatch(/^Opening the store of the preset dev …\nStarting the workers …\n/)
  expect(stdout).toMatch(/● read +started\n/)
  expect(stdout).toMatch(/◔ read +\d+ % +5000 rows\n/)
  expect(stdout).toMatch(/■ birdstrikes +flow completed in /)
  expect(stdout).toMatch(/\n10000 rows read, 80 left out:\n/)
  // oxlint-disable-next-line no-control-regex -- the text must not contain control characters
  expect(stdout).not.toMatch(/[\u001B\r]/)
})
