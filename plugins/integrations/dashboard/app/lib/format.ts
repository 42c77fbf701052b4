const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** Returns a duration for people: `420 ms`, `27.5 s`, `3 m 12 s`, `2 h 5 m`, `3 d 4 h`. */
export function formatDuration(ms: number): string {
  if (ms < 1) return '0 ms'
  if (ms < SECOND) return `${Math.round(ms)} ms`
  if (ms < 10 * SECOND) return `${(Math.floor(ms / 10) / 100).toFixed(2)} s`
  if (ms < MINUTE) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`
  if (ms < HOUR) return twoUnits(ms, MINUTE, 'm', SECOND, 's')
  if (ms < DAY) return twoUnits(ms, HOUR, 'h', MINUTE, 'm')
  return twoUnits(ms, DAY, 'd', HOUR, 'h')
}

/** Returns a duration without zeros after its point: `2 s`, `1.5 s`. */
export function formatTick(ms: number): string {
  return formatDuration(ms).replace(/\.0+(?= )|(\.\d)0(?= )/, '$1')
}

function twoUnits(ms: number, large: number, largeName: string, small: number, smallName: string): string {
  const rest = Math.floor((ms % large) / small)
  return `${Math.floor(ms / large)} ${largeName}${rest === 0 ? '' : ` ${rest} ${smallName}`}`
}

/** Returns a distance in one unit: `12 s`, `3 m`, `2 h`, `4 d`. */
export function formatDistance(ms: number): string {
  if (ms < MINUTE) return `${Math.max(0, Math.floor(ms / SECOND))} s`
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} m`
  if (ms < 2 * DAY) return `${Math.floor(ms / HOUR)} h`
  return `${Math.floor(ms / DAY)} d`
}

/** Returns a moment relative to another: `now`, `12 s ago`, `in 3 m`. */
export function formatRelative(ts: number, now: number): string {
  const ago = now - ts
  if (ago >= 0) return ago < 2 * SECOND ? 'now' : `${formatDistance(ago)} ago`
  return ago > -SECOND ? 'now' : `in ${formatDistance(-ago)}`
}

/** Returns a moment with its date and milliseconds, in the time zone of the reader. */
export function formatMoment(ts: number): string {
  const date = new Date(ts)
  const day = date.toLocaleDateString(undefined, { year: 'numeric', month: 'short', day: 'numeric' })
  return `${day}, ${formatTime(ts)}`
}

/** Returns the time of the day with milliseconds. */
export function formatTime(ts: number): string {
  const date = new Date(ts)
  const two = (value: number): string => String(value).padStart(2, '0')
  const ms = String(date.getMilliseconds()).padStart(3, '0')
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`
}

/**
 * Returns a moment at the axis of a chart: `09:15`, or `30 Nov` for the start of a day.
 *
 * @param distance milliseconds to the next mark of the axis
 */
export function formatAxis(ts: number, distance: number): string {
  const time = formatTime(ts).slice(0, 5)
  if (distance < DAY && time !== '00:00') return time
  return new Date(ts).toLocaleDateString(undefined, { month: 'short', day: 'numeric' })
}

const whole = new Intl.NumberFormat('en')
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 })

/** Returns a count: `1,234`, and `1.2M` for large counts. */
export function formatCount(count: number): string {
  return count < 100_000 ? whole.format(count) : short.format(count)
}

/** Returns a noun with its count: `1 job`, `2 jobs`. */
export function formatNumberOf(count: number, noun: string): string {
  const plural = noun.endsWith('s') ? 'es' : 's'
  return `${formatCount(count)} ${noun}${count === 1 ? '' : plural}`
}

/** Returns an amount of memory: `84 MB`, `1.2 GB`. */
export function formatBytes(bytes: number): string {
  const mb = bytes / 1024 ** 2
  return mb < 1000 ? `${Math.round(mb)} MB` : `${(mb / 1024).toFixed(1)} GB`
}
