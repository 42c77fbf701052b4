import { closeSync, fdatasync, fsyncSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import { setImmediate as turn } from 'node:timers/promises'
import { dirname } from 'pathe'
import { encodeLine } from '../../../lib/json.ts'

/** How many characters are written before the event loop turns. */
const CHUNK = 1 << 18

type Line = Readonly<Record<string, unknown>>
/** Members that are `undefined` are left out; a text is a line that is written already. */
export type JournalLine = Line | string

export function lineText(line: JournalLine): string {
  return typeof line === 'string' ? line : encodeLine(line)
}

/** Writes lines to the start of a file, bit by bit, so that nobody has to wait for the last one. */
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
    await turn()
  }
  write()
  return { size, lines: count }
}

/** Writes bytes to a place in a file, and leaves no part of them there when it fails. */
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

/** Answers the error rather than rejecting with it. */
export function dataSync(file: number): Promise<Error | undefined> {
  return new Promise((resolve) => fdatasync(file, (error) => resolve(error ?? undefined)))
}

/** Makes the name of a new file as durable as the file. Windows cannot open folders, and does not need to. */
export function syncFolder(path: string): void {
  if (process.platform === 'win32') return
  const folder = openSync(dirname(path), 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}
