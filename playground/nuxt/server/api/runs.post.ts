import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'pathe'
import { z } from 'zod'
import { outputOf } from '../../../lib/paths.ts'

const order = z.object({ rows: z.coerce.number().int().min(1).max(10_000) })

/** Starts a run over the first rows of the data. */
export default defineEventHandler(async (event) => {
  const { rows } = await readValidatedBody(event, (body) => order.parse(body))
  const queue = useQueue()
  const id = queue.newId()
  // Simulates an uploaded file. The run receives the name of the file, because payloads should contain references.
  const file = outputOf(id, 'strikes.csv')
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, await firstRows(rows))
  const { runId } = await queue.flow('birdstrikes').start({ file }, { id, tags: ['playground'] })
  // The form was sent before the scripts of the page had loaded.
  if (getHeader(event, 'accept')?.includes('text/html')) return sendRedirect(event, `/?run=${runId}`, 303)
  return { runId }
})

async function firstRows(rows: number): Promise<string> {
  const csv = await useStorage('assets:data').getItemRaw<Uint8Array | string>('birdstrikes.csv')
  if (!csv) throw createError({ statusCode: 500, statusMessage: 'The data is not part of this server' })
  const lines = (typeof csv === 'string' ? csv : new TextDecoder().decode(csv)).split('\n')
  return lines.slice(0, rows + 1).join('\n')
}
