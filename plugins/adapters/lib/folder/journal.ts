import { closeSync, fdatasyncSync, openSync, renameSync, rmSync } from 'node:fs'
import type { Reporter } from '../../../../kernel/index.ts'
import { PRIVATE_FILE } from '../../../lib/private-folder.ts'
import { dataSync, lineText, syncFolder, writeAll, writeLines, type JournalLine } from './disk.ts'
import { readJournal } from './read-journal.ts'

/**
 * When a write reaches the disk.
 *
 * - `always`: synchronously, before any other code runs.
 * - `batch`: before the write is acknowledged, together with other writes.
 * - `never`: when the system flushes the file. A power cut may lose the last seconds. A crash of the process loses
 *   nothing that was acknowledged.
 */
export type Fsync = 'always' | 'batch' | 'never'

export interface JournalOptions {
  path: string
  /** The first line. It identifies the kind of the file. */
  header: Readonly<Record<string, unknown>>
  fsync: Fsync
  reporter: Reporter
  /** Returns the lines that rebuild the current state, for a compacted journal. They are read in chunks between other writes. */
  snapshot(): Iterable<JournalLine>
  /** The minimum number of obsolete lines before the journal is compacted. */
  minGarbage: number
}

/** How much larger than the last compacted state the file must be. With 4, compaction adds a third to the appended bytes. */
const GROWTH = 4
/** How long to wait before a failed write is tried again, in milliseconds. */
const RETRY = 1000

/**
 * An append-only file of JSON lines. Compaction replaces it with a shorter file of the same content. Each line is applied
 * as a whole, or not at all if a crash interrupted its write. Applying a line twice has no further effect.
 */
export class Journal {
  readonly #options: JournalOptions
  #file: number
  /** How many bytes of the file are complete lines. */
  #size: number
  #lines = 0
  #garbage = 0
  /** The size of the state after the last compaction, in bytes. */
  #compactSize = 0
  /** Lines that are not written yet. */
  #buffer = ''
  #scheduled = false
  /** Resolves with the next write. */
  #written: PromiseWithResolvers<void> | undefined
  /** Settles with the next sync that begins. */
  #next: PromiseWithResolvers<void> | undefined
  /** True if the file has bytes that no running sync covers. */
  #dirty = false
  /** The running sync. It covers everything that was written before it began. */
  #inFlight: Promise<void> | undefined
  /** Pending while the sync loop runs. The loop ends when no caller waits. */
  #syncing: Promise<void> | undefined
  /** Lines that were appended during a compaction. */
  #tail: string | undefined
  #compacting: Promise<void> | undefined
  #broken = false
  #closed = false

  constructor(options: JournalOptions, file: number, size: number, lines: number) {
    this.#options = options
    this.#file = file
    this.#size = size
    this.#lines = lines
  }

  /**
   * Opens a journal, calls `apply` with each of its lines, and cuts off an incomplete or damaged end.
   *
   * @throws QueueError `STORE_INCOMPATIBLE` if the file is of another kind or of a newer version
   */
  static open(options: JournalOptions, apply: (line: Record<string, unknown>) => void): Journal {
    rmSync(draftOf(options.path), { force: true })
    const { size, lines } = readJournal(options, apply)
    const journal = new Journal(options, openSync(options.path, 'r+'), size, lines)
    if (size === 0) {
      journal.#append(options.header)
      journal.#flush()
      syncFolder(options.path)
    }
    return journal
  }

  /** @param obsolete how many lines become obsolete with this one, including itself: compaction drops them */
  append(line: JournalLine, obsolete = 0): void {
    if (this.#closed) return
    this.#append(line)
    this.#garbage += obsolete
    if (this.#options.fsync === 'always') this.#syncNow()
    else this.#schedule()
    if (this.#garbage > this.#options.minGarbage && this.#isStale()) void this.compact()
  }

  #flush(): void {
    if (this.#buffer === '' || this.#broken) return
    const bytes = Buffer.from(this.#buffer)
    try {
      writeAll(this.#file, bytes, this.#size)
    } catch (error) {
      return this.#fail(error)
    }
    this.#size += bytes.byteLength
    this.#buffer = ''
    this.#dirty = this.#options.fsync !== 'never'
    this.#written?.resolve()
    this.#written = undefined
    if (!this.#dirty) this.#acknowledge()
  }

  #acknowledge(): void {
    this.#next?.resolve()
    this.#next = undefined
  }

  /** Resolves once all appended lines are written to the file. From then on, a crash of the process does not lose them. */
  written(): Promise<void> | undefined {
    if (this.#buffer === '') return undefined
    this.#written ??= Promise.withResolvers<void>()
    return this.#written.promise
  }

  /** Resolves once all appended lines are as safe as `fsync` demands. Returns `undefined` if they already are. */
  synced(): Promise<void> | undefined {
    if (!this.#dirty && this.#buffer === '') return this.#inFlight
    this.#next ??= Promise.withResolvers<void>()
    this.#schedule()
    return this.#next.promise
  }

  /** Writes the current state to a new file and replaces the journal with it. */
  compact(): Promise<void> {
    this.#compacting ??= this.#compact().finally(() => (this.#compacting = undefined))
    return this.#compacting
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#compacting
    await this.#syncing
    this.#flush()
    if (this.#broken)
      this.#next?.reject(
        new Error(`The journal ${this.#options.path} was closed before its last lines could be written.`),
      )
    else {
      if (this.#options.fsync !== 'never') fdatasyncSync(this.#file)
      this.#acknowledge()
    }
    closeSync(this.#file)
  }

  #isStale(): boolean {
    return this.#garbage > this.#lines / 2 && this.#size > GROWTH * this.#compactSize
  }

  #append(line: JournalLine): void {
    const text = `${lineText(line)}\n`
    this.#buffer += text
    if (this.#tail !== undefined) this.#tail += text
    this.#lines++
  }

  /** Collects the lines that are appended in one turn of the event loop. */
  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      if (this.#closed) return
      this.#flush()
      if (this.#next && !this.#syncing && !this.#broken) this.#syncing = this.#sync()
    })
  }

  /** Runs one sync after the other while a caller waits. Each covers everything that was written before it began. */
  async #sync(): Promise<void> {
    while (this.#next && !this.#broken) {
      const batch = this.#next
      this.#next = undefined
      this.#inFlight = batch.promise
      this.#flush()
      this.#dirty = false
      const error = await dataSync(this.#file)
      if (error) {
        this.#next ??= Promise.withResolvers<void>()
        batch.resolve(this.#next.promise)
        this.#dirty = true
        this.#fail(error)
      } else batch.resolve()
      this.#inFlight = undefined
    }
    this.#syncing = undefined
  }

  #syncNow(): void {
    this.#flush()
    if (this.#broken) return
    try {
      fdatasyncSync(this.#file)
      this.#dirty = false
    } catch (error) {
      this.#fail(error)
    }
  }

  /**
   * Handles a full or missing disk. No write is acknowledged until the disk works again. After a failed sync, it is
   * unknown which bytes are on the disk, so the retry writes the whole state to a new file.
   */
  #fail(error: unknown): void {
    if (this.#broken) return
    this.#broken = true
    this.#options.reporter.error(
      `The journal ${this.#options.path} cannot be written. The write is retried every second.`,
      error,
    )
    const retry = async (): Promise<void> => {
      if (this.#closed) return
      try {
        await this.compact()
        this.#broken = false
        this.#schedule()
      } catch {
        setTimeout(() => void retry(), RETRY).unref()
      }
    }
    setTimeout(() => void retry(), RETRY).unref()
  }

  async #compact(): Promise<void> {
    const { path, header, snapshot } = this.#options
    const draft = draftOf(path)
    this.#tail = ''
    // Lines that become obsolete from now on may be part of the new file.
    this.#garbage = 0
    let file: number | undefined
    try {
      file = openSync(draft, 'w', PRIVATE_FILE)
      const written = await writeLines(file, header, snapshot())
      const failed = await dataSync(file)
      if (failed) throw failed
      while (this.#syncing) await this.#syncing
      // The code from here to the rename is synchronous, so that no line is appended in between.
      const tail = Buffer.from(this.#tail)
      writeAll(file, tail, written.size)
      fdatasyncSync(file)
      renameSync(draft, path)
      syncFolder(path)
      closeSync(this.#file)
      this.#file = file
      this.#size = written.size + tail.byteLength
      this.#compactSize = written.size
      this.#lines = written.lines + this.#tail.split('\n').length - 1
      this.#buffer = ''
      this.#dirty = false
      this.#written?.resolve()
      this.#written = undefined
      this.#acknowledge()
    } catch (error) {
      if (file !== undefined) closeSync(file)
      rmSync(draft, { force: true })
      if (this.#broken) throw error
      this.#options.reporter.error(`The journal ${path} could not be compacted. It stays in use as it is.`, error)
    } finally {
      this.#tail = undefined
    }
  }
}

/** Returns the path at which a compacted journal is written before it replaces the old one. */
function draftOf(path: string): string {
  return `${path}.new`
}
