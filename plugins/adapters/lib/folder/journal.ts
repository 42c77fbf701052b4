import { closeSync, fdatasyncSync, openSync, renameSync, rmSync } from 'node:fs'
import type { Reporter } from '../../../../kernel/index.ts'
import { PRIVATE_FILE } from '../../../lib/private-folder.ts'
import { dataSync, lineText, syncFolder, writeAll, writeLines, type JournalLine } from './disk.ts'
import { readJournal } from './read-journal.ts'

/**
 * When a write is on the disk. `always`: before anything else happens. `batch`: before it is
 * acknowledged, many writes at once. `never`: when the system likes; a power cut may lose the last
 * seconds, the death of the process nothing that was acknowledged.
 */
export type Fsync = 'always' | 'batch' | 'never'

export interface JournalOptions {
  path: string
  /** The first line: what the file is. */
  header: Readonly<Record<string, unknown>>
  fsync: Fsync
  reporter: Reporter
  /** Lines that make up the present state: what a compacted journal holds. Read bit by bit, while writing goes on. */
  snapshot(): Iterable<JournalLine>
  /** How many lines have to be obsolete, at the least, before the journal is compacted. */
  minGarbage: number
}

/** How many times as large as after the last time it has to be: rewriting costs a third of what is appended. */
const GROWTH = 4
/** How long to wait before a disk that refused is tried again, in milliseconds. */
const RETRY = 1000

/**
 * A file of JSON lines that only grows, until it is replaced by a shorter one that says the same.
 * Each line is applied as a whole or, torn by a crash, not at all; applying it twice does no harm.
 */
export class Journal {
  readonly #options: JournalOptions
  #file: number
  /** How many bytes of the file are whole lines. */
  #size: number
  #lines = 0
  #garbage = 0
  /** How large the state alone was when it was last compacted. */
  #compactSize = 0
  /** Lines that are not written yet. */
  #buffer = ''
  #scheduled = false
  /** Settles with the next write. */
  #written: PromiseWithResolvers<void> | undefined
  /** Settles with the next sync that begins. */
  #next: PromiseWithResolvers<void> | undefined
  /** Something is written that no sync which has begun will cover. */
  #dirty = false
  /** The sync under way, for all that was written when it began. */
  #inFlight: Promise<void> | undefined
  /** Syncing goes on as long as somebody waits for it. */
  #syncing: Promise<void> | undefined
  /** Lines that came while a compaction is under way. */
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
   * Opens a journal, hands what it holds to `apply`, line by line, and cuts what is torn or damaged.
   *
   * @throws QueueError `STORE_INCOMPATIBLE` for a file of another kind or of a newer version
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

  /** @param obsolete how many lines, itself included, a compacted journal would do without */
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

  /** Resolves once the system has all that was appended: from there on the death of the process does not lose it. */
  written(): Promise<void> | undefined {
    if (this.#buffer === '') return undefined
    this.#written ??= Promise.withResolvers<void>()
    return this.#written.promise
  }

  /** Resolves once all that was appended is as safe as the policy says; `undefined` when it is already. */
  synced(): Promise<void> | undefined {
    if (!this.#dirty && this.#buffer === '') return this.#inFlight
    this.#next ??= Promise.withResolvers<void>()
    this.#schedule()
    return this.#next.promise
  }

  /** Writes the present state to a new file that takes the place of this one. */
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
      this.#next?.reject(new Error(`The journal ${this.#options.path} was closed before it could be written.`))
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

  /** Collects what one turn of the event loop appends. */
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

  /** One sync after the other, each for all that was written when it began. */
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
   * The disk is full or gone. Nothing is acknowledged until it works again; what a failed sync left
   * undecided is decided by writing everything anew.
   */
  #fail(error: unknown): void {
    if (this.#broken) return
    this.#broken = true
    this.#options.reporter.error(`The journal ${this.#options.path} cannot be written; trying again.`, error)
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
    // What becomes obsolete from here on may be in the new file.
    this.#garbage = 0
    let file: number | undefined
    try {
      file = openSync(draft, 'w', PRIVATE_FILE)
      const written = await writeLines(file, header, snapshot())
      const failed = await dataSync(file)
      if (failed) throw failed
      while (this.#syncing) await this.#syncing
      // From here on nothing comes in between.
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
      this.#options.reporter.error(`The journal ${path} could not be compacted; it goes on as it is.`, error)
    } finally {
      this.#tail = undefined
    }
  }
}

/** Where a compacted journal is written before it takes the place of the old one. */
function draftOf(path: string): string {
  return `${path}.new`
}
