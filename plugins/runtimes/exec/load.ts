import { constants } from 'node:fs'
import { access, readFile } from 'node:fs/promises'
import { extname } from 'pathe'
import { isRecord } from '../lib/child-process/wire-error.ts'
import { QueueError, toError, type WorkerModule } from '../../../kernel/index.ts'

/**
 * Reads the config of an executable worker. The config of `resize.sh` is the optional file `resize.json` next to it.
 *
 * @throws QueueError `WORKER_INVALID` if the file is not executable, or its config is not a JSON object
 */
export async function loadExecutable(file: string): Promise<WorkerModule> {
  await access(file, constants.X_OK).catch((cause: unknown) => {
    const hint = `Begin it with a line like "#!/usr/bin/env bash", and run: chmod +x ${file}`
    throw new QueueError('WORKER_INVALID', `${file} is not executable. ${hint}`, { cause })
  })
  const configFile = `${file.slice(0, -extname(file).length)}.json`
  const text = await readFile(configFile, 'utf8').catch(() => undefined)
  if (text === undefined) return {}
  try {
    const config = JSON.parse(text) as unknown
    if (!isRecord(config)) throw new Error('it must contain a JSON object')
    return { config }
  } catch (cause) {
    const message = `${configFile} is not a valid worker config: ${toError(cause).message}`
    throw new QueueError('WORKER_INVALID', message, { cause })
  }
}
