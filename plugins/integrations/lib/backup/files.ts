import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { Readable, type Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import { dirname } from 'pathe'
import { PRIVATE_FILE } from '../../../lib/private-folder.ts'
import { decodeCopyLine, encodeCopyLine, FORMAT, invalidExport, type CopyCounts, type CopyLine } from './lines.ts'

/** The last line of a file, after `total`: a hash of all lines before it. */
const SEAL = '{"sha256":'

/**
 * Writes an export as a file that only its owner can read. It appears as a whole or not at all. A file whose name ends with `.gz` is
 * compressed. Returns the counts of the last line.
 */
export async function writeExport(lines: AsyncIterable<CopyLine>, file: string): Promise<CopyCounts> {
  let counts: CopyCounts = { streams: 0, events: 0, jobs: 0 }
  async function* texts(): AsyncGenerator<string, void> {
    const hash = createHash('sha256')
    for await (const line of lines) {
      if ('total' in line) counts = line.total
      const text = encodeCopyLine(line)
      hash.update(text)
      yield text
    }
    yield `${SEAL}"${hash.digest('hex')}"}\n`
  }
  await mkdir(dirname(file), { recursive: true })
  const part = `${file}.part`
  try {
    const compress: Duplex[] = file.endsWith('.gz') ? [createGzip()] : []
    await pipeline([Readable.from(texts()), ...compress, createWriteStream(part, { mode: PRIVATE_FILE, flush: true })])
    await rename(part, file)
  } catch (error) {
    await rm(part, { force: true })
    throw error
  }
  return counts
}

/** Reads a whole export and checks that it is complete, before anything is written. @throws QueueError `EXPORT_INVALID` */
export async function checkExport(file: string): Promise<CopyCounts> {
  const hash = createHash('sha256')
  let [number, total]: [number, CopyCounts | undefined] = [0, undefined]
  for await (const text of textsOf(file)) {
    number++
    if (text.startsWith(SEAL)) {
      const expected = hash.digest('hex')
      if (text !== `${SEAL}"${expected}"}`) throw invalidExport(file, 'it was changed or is damaged')
      if (!total) throw invalidExport(file, 'it has no line "total"')
      return total
    }
    if (number === 1) checkHeader(decodeCopyLine(text, `${file}:1`), file)
    hash.update(`${text}\n`)
    if (text.startsWith('{"total":')) total = (decodeCopyLine(text, `${file}:${number}`) as { total: CopyCounts }).total
  }
  throw invalidExport(file, `it ends after line ${number}, before its end`)
}

function checkHeader(line: CopyLine, file: string): void {
  const format = 'header' in line ? line.header.format : undefined
  if (format === FORMAT) return
  throw invalidExport(
    `${file}:1`,
    `expected a header with the format ${FORMAT}; got ${String(format)}. A newer release may read it`,
  )
}

/** Yields the lines of a file that `checkExport` has accepted. */
export async function* readExport(file: string): AsyncGenerator<CopyLine, void> {
  let number = 0
  for await (const text of textsOf(file)) {
    number++
    if (text.startsWith(SEAL)) return
    yield decodeCopyLine(text, `${file}:${number}`)
  }
}

async function* textsOf(file: string): AsyncGenerator<string, void> {
  const bytes = createReadStream(file)
  const input = file.endsWith('.gz') ? bytes.pipe(createGunzip()) : bytes
  const failed = new Promise<never>((_resolve, reject) => {
    bytes.once('error', reject)
    input.once('error', reject)
  })
  failed.catch(() => {})
  const lines = createInterface({ input, crlfDelay: Infinity })[Symbol.asyncIterator]()
  try {
    for (;;) {
      const next = await Promise.race([lines.next(), failed])
      if (next.done) break
      yield next.value
    }
    // A failure may end the lines before it is reported.
    await Promise.race([failed, new Promise((resolve) => setImmediate(resolve))])
  } catch (cause) {
    throw invalidExport(file, `it cannot be read: ${(cause as Error).message}`, cause)
  } finally {
    bytes.destroy()
  }
}
