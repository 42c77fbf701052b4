import { readFile } from 'node:fs/promises'
import { outputOf } from '../../../../../../lib/paths.ts'

const TYPES: Readonly<Record<string, string>> = {
  'strikes-by-year.svg': 'image/svg+xml',
  'report.md': 'text/markdown; charset=utf-8',
}

/** Serves the chart and the report of a run. */
export default defineEventHandler(async (event) => {
  const { id = '', name = '' } = getRouterParams(event, { decode: true })
  const type = TYPES[name]
  const run = await useQueue().port('events').runs.get(id)
  const content = run && type && (await readFile(outputOf(id, name)).catch(() => undefined))
  if (!content) throw createError({ statusCode: 404, statusMessage: 'No such file' })
  // An SVG file that is opened directly is a page of this site, so it must not run scripts.
  const asPicture = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
  setResponseHeaders(event, {
    'content-type': type,
    'content-security-policy': asPicture,
    'x-content-type-options': 'nosniff',
  })
  return content
})
