import type { Histogram } from './histogram.ts'

/** The type of the text format of Prometheus. */
export const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

type Labels = Readonly<Record<string, string>>

/** A metric and its samples. */
interface Family {
  add(labels: Labels, value: number): void
  addHistogram(labels: Labels, histogram: Histogram): void
}

/** Writes the text format of Prometheus, version 0.0.4. */
export function createText() {
  const lines: string[] = []

  function sample(name: string, labels: Labels, value: number): void {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escape(text).replaceAll('"', '\\"')}"`)
    lines.push(`${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${numberOf(value)}`)
  }

  return {
    /** Begins a metric. All its samples are added before the next one begins. */
    family(name: string, type: 'counter' | 'gauge' | 'histogram', help: string): Family {
      lines.push(`# HELP ${name} ${escape(help)}`, `# TYPE ${name} ${type}`)
      return {
        add: (labels, value) => sample(name, labels, value),
        addHistogram(labels, histogram) {
          const { buckets, sum, count } = histogram.read()
          for (const [boundary, hits] of buckets) sample(`${name}_bucket`, { ...labels, le: numberOf(boundary) }, hits)
          sample(`${name}_sum`, labels, sum)
          sample(`${name}_count`, labels, count)
        },
      }
    },
    toString: () => `${lines.join('\n')}\n`,
  }
}

function escape(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}

function numberOf(value: number): string {
  return value === Infinity ? '+Inf' : String(value)
}
