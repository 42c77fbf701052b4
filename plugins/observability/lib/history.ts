import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'pathe'
import { QueueError, type EventStore, type RunInfo, type StoredEvent } from '../../../kernel/index.ts'
import { decodeJson, encodeJson } from '../../lib/json.ts'
import { PRIVATE_FILE } from '../../lib/private-folder.ts'

/** A run with all its events. In a file, the first line is the run, and each further line is one event. */
export interface RunHistory {
  run: RunInfo
  events: readonly StoredEvent[]
}

/** How many events `historyPages` reads at once. */
const PAGE = 500

/** Returns the text of a history file. */
export function formatHistory({ run, events }: RunHistory): string {
  return [run, ...events].map(formatLine).join('')
}

/** Returns the text of a history file page by page, so that a long history is never in memory as a whole. */
export async function* historyPages(events: EventStore, run: RunInfo): AsyncGenerator<string, void> {
  const head = await events.head(run.runId)
  let text = formatLine({ ...run, head })
  for (let after = 0; after < head;) {
    const page = await events.read(run.runId, { after, until: head, limit: PAGE })
    // Readers of the file detect missing events, because its first line contains the number of events.
    if (page.length === 0) break
    yield text + page.map(formatLine).join('')
    text = ''
    after = page.at(-1)!.seq
  }
  if (text !== '') yield text
}

/** Writes a history file that only its owner can read. It appears as a whole or not at all. */
export async function writeHistory(history: RunHistory, file: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  await writeFile(`${file}.part`, formatHistory(history), { mode: PRIVATE_FILE })
  await rename(`${file}.part`, file)
}

/**
 * Reads a history file.
 *
 * @throws QueueError `HISTORY_INVALID` with the file and the line
 */
export async function readHistory(file: string): Promise<RunHistory> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new QueueError('HISTORY_INVALID', `The history ${file} cannot be read: ${(cause as Error).message}`, {
      cause,
    })
  })
  const lines = text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  const [run, ...events] = lines.map((line, index) => parseLine(line, `${file}:${index + 1}`))
  if (!isRun(run)) {
    throw invalid(`${file}:1`, 'a run with "runId", "status", "startedAt" and "head"')
  }
  for (const [index, event] of events.entries()) {
    if (!isEvent(event) || event.seq !== index + 1) {
      throw invalid(`${file}:${index + 2}`, `the event with "seq" ${index + 1}, "ts" and "type"`)
    }
  }
  if (events.length !== run.head) {
    throw invalid(file, `${run.head} events after the first line, as its "head" says, but holds ${events.length}`)
  }
  return { run, events: events as StoredEvent[] }
}

function parseLine(line: string, where: string): unknown {
  try {
    return decodeJson(line)
  } catch (cause) {
    throw invalid(where, 'one JSON value per line', cause)
  }
}

function invalid(where: string, expected: string, cause?: unknown): QueueError {
  const hint = 'Export the run again with kernel.exportRun(runId, file).'
  return new QueueError('HISTORY_INVALID', `${where} should hold ${expected}. ${hint}`, { cause })
}

/** Omits `undefined` members, which would need a tag in JSON. */
function formatLine(line: RunInfo | StoredEvent): string {
  return `${encodeJson(Object.fromEntries(Object.entries(line).filter(([, value]) => value !== undefined)))}\n`
}

function isRun(value: unknown): value is RunInfo {
  const { runId, status, startedAt, head } = (value ?? {}) as Partial<Record<keyof RunInfo, unknown>>
  const isText = typeof runId === 'string' && typeof status === 'string'
  return isText && typeof startedAt === 'number' && typeof head === 'number'
}

function isEvent(value: unknown): value is StoredEvent {
  const { seq, ts, type } = (value ?? {}) as Partial<Record<keyof StoredEvent, unknown>>
  return typeof seq === 'number' && typeof ts === 'number' && typeof type === 'string'
}
