import { emitKeypressEvents, type Key } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { colors } from 'consola/utils'
import type { RunInfo, StoredEvent } from '../../../kernel/index.ts'
import { formatRun, oneLine, pretty, type Output } from './output.ts'
import { createTimeline } from './timeline.ts'

/** A run to step through. */
export interface Recording {
  run: RunInfo
  events: readonly StoredEvent[]
  /** Its state after each event, in order; each with the one before behind it. */
  states(): AsyncIterable<Record<string, unknown>>
  /** Its state after the event of a `seq`. */
  stateAt(seq: number): Promise<Record<string, unknown>>
}

/** Which events are shown. State is that of all. */
export interface ReplayFilter {
  /** Up to this `seq`. */
  to?: number
  types?: readonly string[]
}

export interface Terminal {
  input: Readable & { isTTY?: boolean; setRawMode?: (raw: boolean) => unknown }
  output: Writable
}

/** Puts the state below the line of its event. */
const INDENT = ' '.repeat(9)

function isShown({ to = Infinity, types }: ReplayFilter): (event: StoredEvent) => boolean {
  return ({ seq, type }) => seq <= to && (types === undefined || types.includes(type))
}

/** Event after event with the state that results; with `--json` one line each. */
export async function printReplay({ run, events, states }: Recording, filter: ReplayFilter, output: Output) {
  const shown = isShown(filter)
  const lines = linesOf(events)
  let index = 0
  output.line(formatRun(run))
  for await (const state of states()) {
    const event = events[index]!
    if (event.seq > (filter.to ?? Infinity)) return
    if (shown(event)) {
      if (output.json) output.value({ ...event, state })
      output.line(lines[index]!)
      output.block(state, INDENT)
    }
    index++
  }
}

/**
 * Steps through a run by keys, forwards and back, until it is left. Answers when that is.
 *
 * Right, down, space and enter go on; left and up go back; home and end jump; q leaves.
 */
export async function stepThrough(recording: Recording, filter: ReplayFilter, { input, output }: Terminal) {
  const shown = recording.events.filter(isShown(filter))
  const lines = new Map(linesOf(recording.events).map((line, index) => [recording.events[index]!.seq, line]))
  const write = (text: string): void => void output.write(`${text}\n`)
  write(oneLine(formatRun(recording.run)))
  if (shown.length === 0) return write('No such events.')
  const last = shown.length - 1

  async function show(index: number): Promise<void> {
    const event = shown[index]!
    write('')
    write(oneLine(lines.get(event.seq)!))
    write(pretty(await recording.stateAt(event.seq), INDENT))
    const keys = '→ next  ← back  home, end  q quit'
    write(colors.dim(`  ${index + 1} of ${shown.length}  ${keys}`))
  }

  let at = 0
  await show(at)
  for await (const key of keysOf(input)) {
    const next = target(key, at, last)
    if (next === undefined) return
    if (next === at) continue
    at = next
    await show(at)
  }
}

/** `undefined` to leave. Beyond the last event there is nothing. */
function target({ name, ctrl }: Key, at: number, last: number): number | undefined {
  if (name === 'q' || name === 'escape' || (ctrl === true && (name === 'c' || name === 'd'))) return undefined
  if (name === 'home') return 0
  if (name === 'end') return last
  if (name === 'left' || name === 'up' || name === 'backspace') return Math.max(0, at - 1)
  const goesOn = name === 'right' || name === 'down' || name === 'return' || name === 'enter' || name === 'space'
  return goesOn ? Math.min(last, at + 1) : at
}

/** The keys that are pressed, none lost while one is dealt with, until the input ends. */
async function* keysOf(input: Terminal['input']): AsyncGenerator<Key> {
  const pressed: Key[] = []
  let wake: () => void = () => {}
  let ended = false
  const onKey = (_text: string | undefined, key: Key): void => {
    pressed.push(key)
    wake()
  }
  const onEnd = (): void => {
    ended = true
    wake()
  }
  emitKeypressEvents(input)
  input.setRawMode?.(true)
  input.on('keypress', onKey).on('end', onEnd).resume()
  try {
    for (;;) {
      const key = pressed.shift()
      if (key) yield key
      else if (ended) return
      else await new Promise<void>((resolve) => (wake = resolve))
    }
  } finally {
    input.off('keypress', onKey).off('end', onEnd).pause()
    input.setRawMode?.(false)
  }
}

/** Durations need the events before, so that all lines are made. */
function linesOf(events: readonly StoredEvent[]): string[] {
  const timeline = createTimeline({ all: true })
  return events.map((event) => timeline.event(event)!)
}
