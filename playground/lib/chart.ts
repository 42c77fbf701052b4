import type { YearStats } from './state.ts'

export type Years = readonly (readonly [year: string, stats: YearStats])[]

interface Layer {
  color: string
  label: string
  values: readonly number[]
}

interface Panel {
  title: string
  top: number
  height: number
  /** The layers are stacked. The first one is at the bottom. */
  layers: readonly Layer[]
  format: (value: number) => string
}

const WIDTH = 900
const HEIGHT = 600
const LEFT = 70
const RIGHT = 24
const INK = '#1f2933'
const MUTED = '#616e7c'
const GRID = '#e4e7eb'

/** Draws two panels over one axis of years: the number of strikes, and their cost. */
export function strikeChart(years: Years, incomplete: string | undefined): string {
  const of = (value: (stats: YearStats) => number): number[] => years.map(([, stats]) => value(stats))
  const labels = years.map(([year]) => (year === incomplete ? `${year}*` : year))
  const first = labels[0]!
  const last = years.at(-1)![0]
  const title = `Wildlife strikes on aircraft in the United States, ${first}–${last}`
  const panels: Panel[] = [
    {
      title: 'Strikes reported per year',
      top: 112,
      height: 230,
      layers: [
        { color: '#d64545', label: 'with damage', values: of(({ damaging }) => damaging) },
        { color: '#9fb3c8', label: 'without damage', values: of(({ strikes, damaging }) => strikes - damaging) },
      ],
      format: (value) => value.toLocaleString('en'),
    },
    {
      title: 'Cost per year, million US dollars',
      top: 412,
      height: 150,
      layers: [{ color: '#cb6e17', label: 'repair and other cost', values: of(({ cost }) => cost / 1e6) }],
      format: (value) => value.toFixed(1),
    },
  ]
  const note = incomplete === undefined ? '' : ` * ${incomplete}: until ${years.at(-1)![1].lastDay}.`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-labelledby="title desc" font-family="system-ui, sans-serif">`,
    `<title id="title">${escapeXml(title)}</title>`,
    `<desc id="desc">Two bar charts by year: strikes with and without damage, and their cost.</desc>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>`,
    text({ x: 24, y: 40, size: 21, weight: 600 }, title),
    text(
      { x: 24, y: 62, size: 13, fill: MUTED },
      `Usable rows of a sample of the FAA Wildlife Strike Database.${note}`,
    ),
    ...panels.flatMap((panel) => drawPanel(panel, labels)),
    '</svg>',
    '',
  ].join('\n')
}

function drawPanel({ title, top, height, layers, format }: Panel, labels: readonly string[]): string[] {
  const totals = labels.map((_, index) => layers.reduce((sum, { values }) => sum + values[index]!, 0))
  const step = niceStep(Math.max(...totals))
  const ceiling = step * Math.max(1, Math.ceil(Math.max(...totals) / step))
  const bottom = top + height
  const y = (value: number): number => bottom - (value / ceiling) * height
  const slot = (WIDTH - LEFT - RIGHT) / labels.length
  const bar = Math.min(44, slot * 0.7)
  const center = (index: number): number => LEFT + slot * (index + 0.5)

  const ticks = Array.from({ length: Math.round(ceiling / step) + 1 }, (_, index) => index * step)
  const grid = ticks.flatMap((tick) => [
    `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${round(y(tick))}" y2="${round(y(tick))}" stroke="${tick === 0 ? MUTED : GRID}"/>`,
    text({ x: LEFT - 8, y: y(tick) + 4, size: 12, anchor: 'end', fill: MUTED }, round(tick).toLocaleString('en')),
  ])
  const bars = labels.flatMap((label, index) => {
    let under = 0
    const stack = layers.map(({ color, values, label: layer }) => {
      const value = values[index]!
      const shape = {
        x: round(center(index) - bar / 2),
        y: round(y(under + value)),
        height: round(y(under) - y(under + value)),
      }
      under += value
      const tip = escapeXml(`${label}, ${layer}: ${format(value)}`)
      return `<rect x="${shape.x}" y="${shape.y}" width="${round(bar)}" height="${shape.height}" fill="${color}"><title>${tip}</title></rect>`
    })
    return [
      ...stack,
      text({ x: center(index), y: y(under) - 5, size: 11, anchor: 'middle' }, format(under)),
      text({ x: center(index), y: bottom + 18, size: 12, anchor: 'middle', fill: MUTED }, label),
    ]
  })
  return [text({ x: 24, y: top - 22, size: 15, weight: 600 }, title), ...legend(layers, top - 22), ...grid, ...bars]
}

/** Draws the legend at the right of the title. A single layer needs no legend. */
function legend(layers: readonly Layer[], y: number): string[] {
  if (layers.length === 1) return []
  return layers.toReversed().flatMap(({ color, label }, index) => {
    const x = WIDTH - RIGHT - 250 + index * 135
    return [
      `<rect x="${x}" y="${y - 11}" width="12" height="12" fill="${color}"/>`,
      text({ x: x + 18, y, size: 13, fill: MUTED }, label),
    ]
  })
}

interface TextStyle {
  x: number
  y: number
  size: number
  weight?: number
  anchor?: 'middle' | 'end'
  fill?: string
}

function text({ x, y, size, weight = 400, anchor, fill = INK }: TextStyle, content: string): string {
  const align = anchor === undefined ? '' : ` text-anchor="${anchor}"`
  return `<text x="${round(x)}" y="${round(y)}" font-size="${size}" font-weight="${weight}" fill="${fill}"${align}>${escapeXml(content)}</text>`
}

/** Computes 1, 2 or 5 times a power of ten, so that about five steps reach the largest value. */
function niceStep(largest: number): number {
  if (largest <= 0) return 1
  const power = 10 ** Math.floor(Math.log10(largest / 5))
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => largest / step <= 5)!
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

function escapeXml(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
