const WHOLE = new Intl.NumberFormat('en')
const DOLLARS = new Intl.NumberFormat('en', { style: 'currency', currency: 'USD', maximumFractionDigits: 0 })

export const whole = (value: number): string => WHOLE.format(value)
export const dollars = (value: number): string => DOLLARS.format(value)

/** Formats milliseconds for people. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  return ms < 60_000
    ? `${(ms / 1000).toFixed(1)} s`
    : `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`
}

/** The time of day, in the browser's zone. */
export const clock = (ts: number): string => new Date(ts).toLocaleTimeString('en-GB')

/** The day, such as "30 Nov 2026". */
export const day = (ts: number): string => new Date(ts).toLocaleDateString('en-GB', { dateStyle: 'medium' })
