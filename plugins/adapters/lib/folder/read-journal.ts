import { closeSync, copyFileSync, existsSync, ftruncateSync, fsyncSync, openSync, readSync } from 'node:fs'
import { QueueError, type Reporter } from '../../../../kernel/index.ts'
import { PRIVATE_FILE } from '../../../lib/private-folder.ts'
import { decodeJson } from '../../../lib/json.ts'

export interface ReadJournalOptions {
  path: string
  /** The members that the first line must have. */
  header: Readonly<Record<string, unknown>>
  reporter: Reporter
}

type Line = Record<string, unknown>

const CHUNK = 1 << 20
/** How many bytes to read for a header. Headers are short, except for the name of the queue. */
const HEADER_BYTES = 1 << 16
const NEWLINE = 0x0a

/**
 * Reads a journal line by line up to the first line that is incomplete or damaged, and cuts the file there. An
 * incomplete last line is a write that was never acknowledged. Any other invalid line is damage: a copy of the damaged file is kept next to
 * the journal.
 *
 * @throws QueueError `STORE_INCOMPATIBLE`
 */
export function readJournal(options: ReadJournalOptions, apply: (line: Line) => void): { size: number; lines: number } {
  const { path, header, reporter } = options
  const file = openSync(path, existsSync(path) ? 'r+' : 'w+', PRIVATE_FILE)
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let [size, lines, position] = [0, 0, 0]
  let rest: Buffer = Buffer.alloc(0)

  /** Applies a line. Returns false if the line is damaged. */
  function take(text: string, bytes: number): boolean {
    const line = parse(text)
    if (!line) return false
    if (lines === 0) checkHeader(path, header, line)
    else apply(line)
    lines++
    size += bytes
    return true
  }

  /** Applies the complete lines at the start of a buffer. Returns false at the first damaged line. */
  function takeLines(buffer: Buffer, end: number): boolean {
    for (let from = 0; from < end;) {
      const to = buffer.indexOf(NEWLINE, from) + 1
      let text: string
      try {
        text = decoder.decode(buffer.subarray(from, to - 1))
      } catch {
        return false
      }
      if (!take(text, to - from)) return false
      from = to
    }
    return true
  }

  try {
    for (;;) {
      const chunk = Buffer.allocUnsafe(CHUNK)
      const read = readSync(file, chunk, 0, CHUNK, position)
      position += read
      if (read === 0) break
      const buffer = Buffer.concat([rest, chunk.subarray(0, read)])
      const end = buffer.lastIndexOf(NEWLINE) + 1
      if (!takeLines(buffer, end)) {
        report(cut(file, path, size, false))
        return { size, lines }
      }
      rest = buffer.subarray(end)
    }
    if (rest.byteLength > 0) report(cut(file, path, size, true))
    return { size, lines }
  } finally {
    closeSync(file)
  }

  function report(what: string): void {
    reporter.warn(`Journal ${path} ${what} The ${lines} lines before it are intact.`)
  }
}

/** Returns the first line of a journal, or `undefined` if it is missing or damaged. */
export function readHeader(path: string): Line | undefined {
  const file = openSync(path, 'r')
  try {
    const start = Buffer.alloc(HEADER_BYTES)
    const text = start.toString('utf8', 0, readSync(file, start, 0, HEADER_BYTES, 0))
    return parse(text.slice(0, Math.max(0, text.indexOf('\n'))))
  } finally {
    closeSync(file)
  }
}

function parse(text: string): Line | undefined {
  try {
    const value = decodeJson(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Line) : undefined
  } catch {
    return undefined
  }
}

/** Cuts the file after its last valid line. Returns the text for the warning. */
function cut(file: number, path: string, size: number, unfinished: boolean): string {
  let kept = ''
  if (!unfinished) {
    let number = 1
    while (existsSync(`${path}.damaged-${number}`)) number++
    kept = `${path}.damaged-${number}`
    copyFileSync(path, kept)
  }
  ftruncateSync(file, size)
  fsyncSync(file)
  return unfinished
    ? 'ended with an incomplete line of a write that was never acknowledged. The line was cut off.'
    : `is damaged from byte ${size} onwards and was cut there. A copy of the damaged file is ${kept}.`
}

function checkHeader(path: string, expected: Readonly<Record<string, unknown>>, found: Line): void {
  const differs = Object.keys(expected).find((key) => expected[key] !== found[key])
  if (differs === undefined) return
  const [want, got] = [expected, found].map((line) => `"${differs}": ${JSON.stringify(line[differs])}`)
  const hint = 'Use the version that wrote it, or use another folder.'
  throw new QueueError('STORE_INCOMPATIBLE', `${path} must begin with ${want}; got ${got}. ${hint}`)
}
