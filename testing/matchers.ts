import { inspect, isDeepStrictEqual } from 'node:util'
import type { StoredEvent } from '../kernel/index.ts'

/** An event by its type, or by what it has to hold at least. `data` is compared in part as well. */
export type EventPattern = string | { type?: string; step?: string; data?: unknown }

/** What a matcher answers, in the form that `expect.extend` takes. */
export interface EventMatch {
  pass: boolean
  message: () => string
}

export interface EventMatchers<R = void> {
  /** These events in this order, and no others. */
  toHaveEvents(expected: readonly EventPattern[]): R
  /** These events in this order, with others before, between and after. */
  toContainEventsInOrder(expected: readonly EventPattern[]): R
}

declare module 'vitest' {
  // oxlint-disable-next-line typescript/no-unused-vars -- merged declarations share their parameters
  interface Matchers<R extends void | Promise<void>, T> extends EventMatchers<R> {}
}

/**
 * Adds `toHaveEvents` and `toContainEventsInOrder` to an `expect`, once a test file or in a setup file.
 *
 * @example
 * import { expect } from 'vitest'
 * installEventMatchers(expect)
 * expect(await test.events(job.runId)).toHaveEvents(['step.started', 'step.completed'])
 */
export function installEventMatchers(expect: { extend(matchers: Record<string, EventMatcher>): void }): void {
  expect.extend({ toHaveEvents: haveEvents, toContainEventsInOrder: containEventsInOrder })
}

type EventMatcher = (received: readonly StoredEvent[], expected: readonly EventPattern[]) => EventMatch

/** Whether events are those expected, in this order and no others. */
export function haveEvents(received: readonly StoredEvent[], expected: readonly EventPattern[]): EventMatch {
  const length = Math.max(received.length, expected.length)
  const parts = Array.from({ length }, (_, index) => index).find((index) => !matches(received[index], expected[index]))
  const found = `Events:\n${list(received)}`
  if (parts === undefined) {
    return { pass: true, message: () => `Expected other events than these.\n${found}` }
  }
  const wanted = expected[parts] === undefined ? 'the end' : describePattern(expected[parts])
  const came = received[parts] === undefined ? 'the end' : describeEvent(received[parts])
  const message = `Event ${parts + 1} differs: expected ${wanted}, got ${came}.`
  return { pass: false, message: () => `${message}\nExpected:\n${listPatterns(expected, parts)}\n${found}` }
}

/** Whether events hold those expected in this order, whatever else they hold. */
export function containEventsInOrder(received: readonly StoredEvent[], expected: readonly EventPattern[]): EventMatch {
  let next = 0
  for (const event of received) {
    if (next < expected.length && matches(event, expected[next])) next++
  }
  const found = `Events:\n${list(received)}`
  if (next === expected.length) {
    return {
      pass: true,
      message: () => `Expected these events not to hold, in order:\n${listPatterns(expected)}\n${found}`,
    }
  }
  const before = next === 0 ? '' : ` after ${describePattern(expected[next - 1]!)}`
  const message = `There is no ${describePattern(expected[next]!)}${before}.`
  return { pass: false, message: () => `${message}\nExpected, in order:\n${listPatterns(expected, next)}\n${found}` }
}

function matches(event: StoredEvent | undefined, pattern: EventPattern | undefined): boolean {
  if (event === undefined || pattern === undefined) return false
  if (typeof pattern === 'string') return event.type === pattern
  return Object.entries(pattern).every(([key, wanted]) => holds(event[key as keyof StoredEvent], wanted))
}

/** Compares objects in part and everything else as a whole; takes `expect.any(…)` and its like. */
function holds(actual: unknown, wanted: unknown): boolean {
  if (isAsymmetric(wanted)) return wanted.asymmetricMatch(actual)
  if (Array.isArray(wanted)) {
    return (
      Array.isArray(actual) &&
      actual.length === wanted.length &&
      wanted.every((one, index) => holds(actual[index], one))
    )
  }
  if (!isPlain(wanted)) return isDeepStrictEqual(actual, wanted)
  return isPlain(actual) && Object.entries(wanted).every(([key, one]) => holds(actual[key], one))
}

function isAsymmetric(value: unknown): value is { asymmetricMatch(actual: unknown): boolean } {
  return typeof (value as { asymmetricMatch?: unknown } | null | undefined)?.asymmetricMatch === 'function'
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}

function list(events: readonly StoredEvent[]): string {
  return events.map((event) => `  ${event.seq} ${describeEvent(event)}`).join('\n') || '  none'
}

/** With a mark at the one that was not found. */
function listPatterns(patterns: readonly EventPattern[], missing?: number): string {
  const lines = patterns.map((pattern, index) => `${index === missing ? '> ' : '  '}${describePattern(pattern)}`)
  return lines.join('\n') || '  none'
}

function describeEvent({ type, step, data }: StoredEvent): string {
  return [type, step === undefined ? '' : `(${step})`, data === undefined ? '' : short(data)].filter(Boolean).join(' ')
}

function describePattern(pattern: EventPattern): string {
  return typeof pattern === 'string' ? pattern : short(pattern)
}

function short(value: unknown): string {
  const text = inspect(value, { depth: 4, breakLength: Infinity })
  return text.length > 120 ? `${text.slice(0, 119)}…` : text
}
