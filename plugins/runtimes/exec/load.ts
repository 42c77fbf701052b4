import { constants } from 'node:fs'
import { access, readFile } from 'node:fs/promises'
import { extname } from 'pathe'
import { isRecord } from '../lib/child-process/wire-error.ts'
import { QueueError, toError, type WorkerModule } from '../../../kernel/index.ts'

/**
 * Reads the config of an executable worker: `resize.json` beside `resize.sh`, if there is one.
 *
 * @throws QueueError `WORKER_INVALID` when the file may not be executed, or its config is no JSON object
 */
export async function loadExecutable(file: string): Promise<WorkerModule> {
  await access(file, constants.X_OK).catch((cause: unknown) => {
    const hint = `Begin it with a line like "#!/usr/bin/env bash", and run: chmod +x ${file}`
    throw new QueueError('WORKER_INVALID', `${file} may not be executed. ${hint}`, { cause })
  })
  const beside = `${file.slice(0, -extname(file).length)}.json`
  const text = await readFile(beside, 'utf8').catch(() => undefined)
  if (text === undefined) return {}
  try {
    const config = JSON.parse(text) as unknown
    if (!isRecord(config)) throw new Error('it is no object')
    return { config }
  } catch (cause) {
    throw new QueueError('WORKER_INVALID', `${beside} is no config of a worker: ${toError(cause).message}`, { cause })
  }
}
