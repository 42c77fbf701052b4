const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** Returns the milliseconds of `500ms`, `90s`, `10m`, `2h` or `3d`, or `undefined` for other text. */
export function durationOf(text: string): number | undefined {
  const [, amount, unit] = /^(\d{1,9})\s*(ms|[smhd])$/.exec(text.trim()) ?? []
  return amount === undefined ? undefined : Number(amount) * UNITS[unit as keyof typeof UNITS]
}

/** Returns the milliseconds of a field of a form. @throws Error for other text, and for 0 */
export function requiredDuration(label: string, text: string): number {
  const ms = durationOf(text)
  if (ms !== undefined && ms > 0) return ms
  throw new Error(`${label}: enter a duration such as 30s, 10m, 2h or 1d.`)
}

/** Returns a duration in editable form, in the largest unit without a fraction: `90s`, `2h`. */
export function durationText(ms: number): string {
  const [unit, size] = Object.entries(UNITS).findLast(([, one]) => ms % one === 0 && ms >= one) ?? ['ms', 1]
  return `${ms / size}${unit}`
}

/** Returns the milliseconds of `90m`, `2h`, `3d` before now, of an ISO date, or of milliseconds; `undefined` for other text. */
export function momentOf(text: string | undefined, now: number = Date.now()): number | undefined {
  if (text === undefined || text === '') return undefined
  const ago = durationOf(text)
  // Whole minutes, so that the same address does not cause a new request every second.
  if (ago !== undefined) return Math.floor(now / 60_000) * 60_000 - ago
  if (/^\d{11,15}$/.test(text)) return Number(text)
  const parsed = Date.parse(text)
  return Number.isNaN(parsed) ? undefined : parsed
}

/**
 * Returns a delay in the form that routes accept: milliseconds for `90m`, `2h`, `3d`, and an ISO date for a date.
 *
 * @throws Error for other text
 */
export function delayOf(text: string): number | string {
  const delay = durationOf(text)
  if (delay !== undefined) return delay
  const parsed = Date.parse(text)
  if (Number.isNaN(parsed)) throw new Error('Enter a duration such as 10m, 2h or 3d, or a date.')
  return new Date(parsed).toISOString()
}
