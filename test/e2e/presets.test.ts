import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { inLongForm } from '../services/long.ts'
import { cliJson } from './cli-in-process.ts'
import { ROOT, startNode } from './processes.ts'

const PRESETS = ['dev', 'dev-file', 'prod-redis', ...inLongForm('embedded', 'prod-postgres')]

interface Told {
  run: string
  preset: string
  durationMs: number
  report: string
  chart: string
  history: string
  stateCommand: string
}

interface Event {
  seq: number
  type: string
  step?: string
  stepId?: string
  data?: { value?: unknown; key?: string; name?: string }
}

interface Played {
  /** The output of the main job, without places and times. */
  summary: object
  events: Event[]
  state: object
}

async function play(preset: string): Promise<Played> {
  const { stdout, stderr } = await startNode(['playground/main.ts', '--json', '--preset', preset], ROOT).ended
  const {
    run,
    preset: used,
    durationMs: _,
    report,
    chart: __,
    history,
    stateCommand: ___,
    ...summary
  } = parse(stdout, stderr)
  expect(used).toBe(preset)
  const [, ...lines] = (await readFile(join(ROOT, history), 'utf8')).split('\n').filter(Boolean)
  const events = lines.map((line) => JSON.parse(line) as Event)
  const state = await cliJson(['state', history], ROOT)
  await rm(join(ROOT, report, '..'), { recursive: true, force: true })
  await rm(join(ROOT, history), { force: true })
  return JSON.parse(JSON.stringify({ summary, events, state }).replaceAll(run, '<run>')) as Played
}

function parse(stdout: string, stderr: string): Told {
  if (stdout === '') throw new Error(stderr)
  return JSON.parse(stdout) as Told
}

/** The events of each job in order, by step. */
function lives(events: readonly Event[]): Record<string, string[]> {
  const byJob = Map.groupBy(events, ({ stepId }) => stepId ?? '')
  const told = [...byJob.values()].map((of) => [of[0]!.step ?? 'run', of.map(({ type }) => type).join(' ')] as const)
  const grouped = Object.groupBy(told, ([step]) => step)
  return Object.fromEntries(
    Object.entries(grouped).map(([step, all]) => [step, all!.map(([, life]) => life).toSorted()]),
  )
}

/** The steps that had begun before each step: a step never begins before its cause. */
function order(events: readonly Event[]): string[] {
  const begun = events.filter(({ type }) => type === 'step.started').map(({ step }) => step!)
  return begun.filter((step, index) => step !== begun[index - 1])
}

describe('the main job', { timeout: 480_000 }, () => {
  const played = new Map<string, Played>()
  beforeAll(async () => {
    for (const preset of PRESETS) played.set(preset, await play(preset))
  }, 1_200_000)

  it.each(PRESETS)('counts the same on %s', (preset) => {
    expect(played.get(preset)!.summary).toEqual(played.get('dev')!.summary)
  })

  it.each(PRESETS)('ends in the same state on %s', (preset) => {
    expect(played.get(preset)!.state).toEqual(played.get('dev')!.state)
  })

  it.each(PRESETS)('has the same events of every job, in the same causal order, on %s', (preset) => {
    const { events } = played.get(preset)!
    expect(lives(events)).toEqual(lives(played.get('dev')!.events))
    expect(order(events)).toEqual(['read', 'year', 'chart', 'report'])
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1))
  })
})

it('has a page of presets with the declared capabilities', { timeout: 120_000 }, async () => {
  const { code, stderr } = await startNode(['scripts/capabilities.ts', '--check'], ROOT).ended
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
})
