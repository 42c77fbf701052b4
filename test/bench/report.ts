import { readFile, writeFile } from 'node:fs/promises'
import { arch, cpus, platform } from 'node:os'
import type { BenchResult } from './harness.ts'

/** The README of what a bench measures, which holds its table between two comments. */
const READMES: Readonly<Record<string, string>> = {
  memory: 'plugins/adapters/memory/queue/README.md',
  file: 'plugins/adapters/file/queue/README.md',
  embedded: 'plugins/adapters/pglite/README.md',
  redis: 'plugins/adapters/redis/queue/README.md',
  postgres: 'plugins/adapters/postgres/queue/README.md',
  runtimes: 'plugins/runtimes/README.md',
  flows: 'plugins/flow/flow/README.md',
}

export function row(result: BenchResult): string {
  const { case: name, unit, ours, base, against, ratio, runs, noise } = result
  const figures = `${ours.toLocaleString('en')} ${unit}`.padStart(20)
  const theirs = `${base.toLocaleString('en')} (${against})`
  return `${name.padEnd(22)}${figures}   ratio ${ratio.toFixed(2).padStart(6)} ${percent(noise).padStart(6)}   base ${theirs}, ${runs} runs\n`
}

/** The results of one bench as a Markdown table, with the machine and the day. */
export function table(results: readonly BenchResult[]): string {
  const rows = results.map((result) => {
    const { case: name, unit, ours, base, against, ratio, noise } = result
    const cells = [name, `${ours.toLocaleString('en')} ${unit}`, `${against}: ${base.toLocaleString('en')}`]
    return `| ${[...cells, ratio.toFixed(2), percent(noise)].join(' | ')} |`
  })
  const head = ['| case | nuxt-queue | compared with | ratio | noise |', '|---|---|---|---|---|']
  return [...head, ...rows, '', `${machine()}, ${new Date().toISOString().slice(0, 10)}.`].join('\n')
}

/** Puts a table in place of the one in the README of its bench. */
export async function intoReadme(bench: string, results: readonly BenchResult[]): Promise<string> {
  const path = READMES[bench]
  if (path === undefined) throw new Error(`No README shows "${bench}". There are: ${Object.keys(READMES).join(', ')}.`)
  const file = new URL(`../../${path}`, import.meta.url)
  const text = await readFile(file, 'utf8')
  const [begin, end] = [`<!-- bench: ${bench} -->`, '<!-- /bench -->']
  const [from, to] = [text.indexOf(begin), text.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`${path} has no "${begin}" with an "${end}" behind it.`)
  await writeFile(file, `${text.slice(0, from + begin.length)}\n\n${table(results)}\n\n${text.slice(to)}`)
  return path
}

const percent = (share: number | undefined): string => (share === undefined ? '' : `±${Math.round(share * 100)}%`)

function machine(): string {
  const [cpu] = cpus()
  return `${cpus().length} × ${cpu?.model.trim() ?? 'unknown processor'} (${platform()} ${arch()}), Node ${process.versions.node}`
}
