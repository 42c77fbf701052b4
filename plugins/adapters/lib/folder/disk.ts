import { closeSync, fdatasync, fsyncSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { dirname } from 'pathe'
import { encodeLine } from '../../../lib/json.ts'

/** How many characters are written before other work of the event loop may run. */
const CHUNK = 1 << 18

type Line = Readonly<Record<string, unknown>>
/** A line of a journal: an object, whose `undefined` members are omitted, or an encoded line. */
export type JournalLine = Line | string

export function lineText(line: JournalLine): string {
  return typeof line === 'string' ? line : encodeLine(line)
}

/** Writes lines to the start of a file in chunks, so that other work of the event loop runs in between. */
export async function writeLines(
  file: number,
  header: Line,
  lines: Iterable<JournalLine>,
): Promise<{ size: number; lines: number }> {
  let [size, count, chunk] = [0, 1, `${encodeLine(header)}\n`]
  const write = (): void => {
    const bytes = Buffer.from(chunk)
    writeAll(file, bytes, size)
    size += bytes.byteLength
    chunk = ''
  }
  for (const line of lines) {
    chunk += `${lineText(line)}\n`
    count++
    if (chunk.length < CHUNK) continue
    write()
    await nextTurn()
  }
  write()
  return { size, lines: count }
}

/** Writes bytes at a position of a file. If a write fails, it removes the part that was written. */
export function writeAll(file: number, bytes: Buffer, position: number): void {
  let written = 0
  try {
    while (written < bytes.byteLength) {
      written += writeSync(file, bytes, written, bytes.byteLength - written, position + written)
    }
  } catch (error) {
    if (written > 0) ftruncateSync(file, position)
    throw error
  }
}

/** Flushes the data of a file to the disk. Resolves with the error if it fails, and never rejects. */
export function dataSync(file: number): Promise<Error | undefined> {
  return new Promise((resolve) => fdatasync(file, (error) => resolve(error ?? undefined)))
}

/** Makes the name of a new file as durable as its contents. Windows cannot open folders and does not need this. */
export function syncFolder(path: string): void {
  if (process.platform === 'win32') return
  const folder = openSync(dirname(path), 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}
