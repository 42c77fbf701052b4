const UNITS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** Returns the milliseconds of `90m`, `2h`, `3d` before now, of an ISO date, or of milliseconds; `undefined` for other text. */
export function momentOf(text: string | undefined, now: number = Date.now()): number | undefined {
  if (text === undefined || text === '') return undefined
  const [, amount, unit] = /^(\d{1,6})\s*([smhd])$/.exec(text) ?? []
  // Whole minutes, so that the same address does not ask for something else in each second.
  if (amount !== undefined)
    return Math.floor(now / 60_000) * 60_000 - Number(amount) * UNITS[unit as keyof typeof UNITS]
  if (/^\d{11,15}$/.test(text)) return Number(text)
  const parsed = Date.parse(text)
  return Number.isNaN(parsed) ? undefined : parsed
}

/**
 * Returns a delay as routes take it: milliseconds for `90m`, `2h`, `3d`, and an ISO date for a date.
 *
 * @throws Error for other text
 */
export function delayOf(text: string): number | string {
  const [, amount, unit] = /^(\d{1,6})\s*([smhd])$/.exec(text.trim()) ?? []
  if (amount !== undefined) return Number(amount) * UNITS[unit as keyof typeof UNITS]
  const parsed = Date.parse(text)
  if (Number.isNaN(parsed)) throw new Error('Write a duration such as 10m, 2h or 3d, or a date.')
  return new Date(parsed).toISOString()
}
