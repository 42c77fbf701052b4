import { inspect, isDeepStrictEqual } from 'node:util'
import type { StoredEvent } from '../kernel/index.ts'

/** Describes an expected event: its type, or the members that it must have. `data` is compared partially. */
export type EventPattern = string | { type?: string; step?: string; data?: unknown }

/** The result of a matcher, in the form that `expect.extend` expects. */
export interface EventMatch {
  pass: boolean
  message: () => string
}

export interface EventMatchers<R = void> {
  /** Passes if the events match the patterns, in this order, and there are no others. */
  toHaveEvents(expected: readonly EventPattern[]): R
  /** Passes if the events contain matches for the patterns, in this order. Other events may be before, between and after. */
  toContainEventsInOrder(expected: readonly EventPattern[]): R
}

declare module 'vitest' {
  // oxlint-disable-next-line typescript/no-unused-vars -- merged declarations share their parameters
  interface Matchers<R extends void | Promise<void>, T> extends EventMatchers<R> {}
}

/**
 * Adds `toHaveEvents` and `toContainEventsInOrder` to an `expect`. Call it once in each test file, or in a setup file.
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

/** Passes if the events match the patterns, in this order, and there are no others. */
export function haveEvents(received: readonly StoredEvent[], expected: readonly EventPattern[]): EventMatch {
  const length = Math.max(received.length, expected.length)
  const parts = Array.from({ length }, (_, index) => index).find((index) => !matches(received[index], expected[index]))
  const found = `Events:\n${list(received)}`
  if (parts === undefined) {
    return { pass: true, message: () => `Expected other events than these.\n${found}` }
  }
  const expectedValue = expected[parts] === undefined ? 'the end' : describePattern(expected[parts])
  const got = received[parts] === undefined ? 'the end' : describeEvent(received[parts])
  const message = `Event ${parts + 1} differs: expected ${expectedValue}, got ${got}.`
  return { pass: false, message: () => `${message}\nExpected:\n${listPatterns(expected, parts)}\n${found}` }
}

/** Passes if the events contain matches for the patterns, in this order. */
export function containEventsInOrder(received: readonly StoredEvent[], expected: readonly EventPattern[]): EventMatch {
  let next = 0
  for (const event of received) {
    if (next < expected.length && matches(event, expected[next])) next++
  }
  const found = `Events:\n${list(received)}`
  if (next === expected.length) {
    return {
      pass: true,
      message: () => `Expected the events not to contain, in order:\n${listPatterns(expected)}\n${found}`,
    }
  }
  const before = next === 0 ? '' : ` after ${describePattern(expected[next - 1]!)}`
  const message = `There is no ${describePattern(expected[next]!)}${before}.`
  return { pass: false, message: () => `${message}\nExpected, in order:\n${listPatterns(expected, next)}\n${found}` }
}

function matches(event: StoredEvent | undefined, pattern: EventPattern | undefined): boolean {
  if (event === undefined || pattern === undefined) return false
  if (typeof pattern === 'string') return event.type === pattern
  return Object.entries(pattern).every(([key, expectedValue]) =>
    matchesValue(event[key as keyof StoredEvent], expectedValue),
  )
}

/** Compares objects partially and all other values exactly. Supports asymmetric matchers such as `expect.any(…)`. */
function matchesValue(actual: unknown, expectedValue: unknown): boolean {
  if (isAsymmetric(expectedValue)) return expectedValue.asymmetricMatch(actual)
  if (Array.isArray(expectedValue)) {
    return (
      Array.isArray(actual) &&
      actual.length === expectedValue.length &&
      expectedValue.every((one, index) => matchesValue(actual[index], one))
    )
  }
  if (!isPlain(expectedValue)) return isDeepStrictEqual(actual, expectedValue)
  return isPlain(actual) && Object.entries(expectedValue).every(([key, one]) => matchesValue(actual[key], one))
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

/** Lists patterns, and marks the one that was not found. */
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
