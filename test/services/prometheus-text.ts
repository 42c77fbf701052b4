/** A sample: its name, its labels as they are written, and its value. */
export interface Sample {
  name: string
  labels: Record<string, string>
  value: number
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)$/
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g
const VALUE = /^(?:[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?|\+Inf)$/
const PARTS = new Set(['_bucket', '_sum', '_count'])

/** Parses the text format 0.0.4 of Prometheus, and refuses whatever its parser or `promtool check metrics` would refuse. */
export function parsePrometheus(text: string): Sample[] {
  if (!text.endsWith('\n')) throw new Error('The last line has no end.')
  const samples: Sample[] = []
  const seen = new Set<string>()
  const families = new Set<string>()
  let family = ''
  let type = ''
  let helped = ''
  for (const line of text.slice(0, -1).split('\n')) {
    const [, comment, name, rest] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? []
    if (comment === 'HELP') {
      helped = name!
    } else if (comment === 'TYPE') {
      if (name !== helped || families.has(name) || !NAME.test(name)) throw new Error(`Unexpected: ${line}`)
      families.add((family = name))
      type = rest!
      if ((type === 'counter') !== name.endsWith('_total')) throw new Error(`Only counters end in _total: ${line}`)
    } else {
      const [, own = '', pairs = '', value = ''] = SAMPLE.exec(line) ?? []
      const suffix = own.slice(family.length)
      const isOwn = own.startsWith(family) && (type === 'histogram' ? PARTS.has(suffix) : suffix === '')
      if (family === '' || !isOwn || !VALUE.test(value) || seen.has(`${own} ${pairs}`)) {
        throw new Error(`Not a sample of ${family}, or a second one: ${line}`)
      }
      seen.add(`${own} ${pairs}`)
      const labels = [...pairs.matchAll(LABEL)].map(([, key, quoted]) => [key!, JSON.parse(`"${quoted!}"`) as string])
      samples.push({
        name: own,
        labels: Object.fromEntries(labels),
        value: value === '+Inf' ? Infinity : Number(value),
      })
    }
  }
  checkHistograms(samples)
  return samples
}

/** Buckets grow, and the last one, which has no bound, contains all. */
function checkHistograms(samples: readonly Sample[]): void {
  const series = Map.groupBy(
    samples,
    ({ name, labels: { le: _bound, ...labels } }) => `${name} ${JSON.stringify(labels)}`,
  )
  for (const [key, buckets] of series) {
    if (!/^\w+_bucket /.test(key)) continue
    const counts = buckets.map(({ value }) => value)
    const [count] = series.get(key.replace('_bucket ', '_count ')) ?? []
    const isSorted = counts.every((value, index) => index === 0 || value >= counts[index - 1]!)
    const last = buckets.at(-1)!
    if (!isSorted || last.labels.le !== '+Inf' || last.value !== count?.value) throw new Error(`No histogram: ${key}`)
  }
}
