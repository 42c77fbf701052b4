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
  /** The state after each event, in order. */
  states(): AsyncIterable<Record<string, unknown>>
  /** Returns the state after the event with a `seq`. */
  stateAt(seq: number): Promise<Record<string, unknown>>
}

/** Which events are shown. The state includes all events. */
export interface ReplayFilter {
  /** The `seq` of the last event. */
  to?: number
  types?: readonly string[]
}

export interface Terminal {
  input: Readable & { isTTY?: boolean; setRawMode?: (raw: boolean) => unknown }
  output: Writable
}

/** Returns the line of an event with the state below it. */
const INDENT = ' '.repeat(9)

function isShown({ to = Infinity, types }: ReplayFilter): (event: StoredEvent) => boolean {
  return ({ seq, type }) => seq <= to && (types === undefined || types.includes(type))
}

/** Prints each event with the state after it. With `--json`, each event is one line. */
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
 * Steps through a run with keys, forwards and back. Resolves when the user quits.
 *
 * Right, down, space and enter go forward. Left and up go back. Home and end jump. q quits.
 */
export async function stepThrough(recording: Recording, filter: ReplayFilter, { input, output }: Terminal) {
  const shown = recording.events.filter(isShown(filter))
  const lines = new Map(linesOf(recording.events).map((line, index) => [recording.events[index]!.seq, line]))
  const write = (text: string): void => void output.write(`${text}\n`)
  write(oneLine(formatRun(recording.run)))
  if (shown.length === 0) return write('The run has no such events.')
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

/** Returns the next index, within the events, or `undefined` to quit. */
function target({ name, ctrl }: Key, at: number, last: number): number | undefined {
  if (name === 'q' || name === 'escape' || (ctrl === true && (name === 'c' || name === 'd'))) return undefined
  if (name === 'home') return 0
  if (name === 'end') return last
  if (name === 'left' || name === 'up' || name === 'backspace') return Math.max(0, at - 1)
  const goesOn = name === 'right' || name === 'down' || name === 'return' || name === 'enter' || name === 'space'
  return goesOn ? Math.min(last, at + 1) : at
}

/** Yields the pressed keys until the input ends. Keys pressed during the handling of another are kept. */
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

/** Formats all lines, because durations need the earlier events. */
function linesOf(events: readonly StoredEvent[]): string[] {
  const timeline = createTimeline({ all: true })
  return events.map((event) => timeline.event(event)!)
}
