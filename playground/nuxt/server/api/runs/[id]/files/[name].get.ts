import { readFile } from 'node:fs/promises'
import { outputOf } from '../../../../../../lib/paths.ts'

const TYPES: Readonly<Record<string, string>> = {
  'strikes-by-year.svg': 'image/svg+xml',
  'report.md': 'text/markdown; charset=utf-8',
}

/** What a run has left: its chart, its report. */
export default defineEventHandler(async (event) => {
  const { id = '', name = '' } = getRouterParams(event, { decode: true })
  const type = TYPES[name]
  const run = await useQueue().port('events').runs.get(id)
  const content = run && type && (await readFile(outputOf(id, name)).catch(() => undefined))
  if (!content) throw createError({ statusCode: 404, statusMessage: 'No such file' })
  setResponseHeader(event, 'content-type', type)
  return content
})
