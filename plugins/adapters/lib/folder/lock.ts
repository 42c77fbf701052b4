import { randomUUID } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { join } from 'pathe'
import { QueueError } from '../../../../kernel/index.ts'
import { PRIVATE_FOLDER } from '../../../lib/private-folder.ts'
import { isDoorOpen, openDoor } from './door.ts'

/** How often a holder shows that it is alive, for those on other machines, who cannot look for its process. */
const BEAT = 5000
/** After this many milliseconds without a beat a lock from another machine is stale. */
const STALE = 30_000
/** How often somebody who waits for a lock looks again, in milliseconds. */
const RETRY = 50
/** A lock that is being written, or taken over, for longer than this was left by a process that died over it. */
const UNFINISHED = 2000

interface Holder {
  pid: number
  host: string
  /** When the process started, as the system tells it: pids are used again. */
  started: string | undefined
  nonce: string
  /** Where a thread that is not the main one answers as long as it lives. */
  door?: string
}

export interface FolderLock {
  release(): void
}

/**
 * Claims a folder for one kernel, through a file `lock` in it that tells who has it. What a process
 * left that is no more is taken over; of several that try, one succeeds.
 *
 * @param timeout how long to wait for the holder to let go, in milliseconds
 * @throws QueueError `STORE_LOCKED` that names the process
 */
export async function lockFolder(folder: string, timeout: number): Promise<FolderLock> {
  mkdirSync(folder, { recursive: true, mode: PRIVATE_FOLDER })
  const path = join(folder, 'lock')
  const deadline = Date.now() + timeout
  const nonce = randomUUID()
  const door = await openDoor(nonce)
  const mine: Holder = { pid: process.pid, host: hostname(), started: startOf(process.pid), nonce, door: door?.path }
  while (!create(path, mine) && !(await takeOver(path, mine))) {
    if (Date.now() >= deadline) {
      door?.close()
      throw locked(folder, readHolder(path))
    }
    await sleep(RETRY)
  }
  const beat = setInterval(() => touch(path), BEAT).unref()
  return {
    release() {
      clearInterval(beat)
      if (readHolder(path)?.nonce === mine.nonce) rmSync(path, { force: true })
      door?.close()
    },
  }
}

function create(path: string, holder: Holder): boolean {
  try {
    writeFileSync(path, `${JSON.stringify(holder)}\n`, { flag: 'wx' })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** Replaces a stale lock. A second file sees to it that only one process does so at a time. */
async function takeOver(path: string, mine: Holder): Promise<boolean> {
  if (await isHeld(path)) return false
  const guard = `${path}.takeover`
  if (!create(guard, mine)) {
    if (ageOf(guard) > UNFINISHED) rmSync(guard, { force: true })
    return false
  }
  try {
    if (await isHeld(path)) return false
    const fresh = `${path}.${mine.nonce}`
    writeFileSync(fresh, `${JSON.stringify(mine)}\n`)
    renameSync(fresh, path)
    return true
  } finally {
    rmSync(guard, { force: true })
  }
}

async function isHeld(path: string): Promise<boolean> {
  const holder = readHolder(path)
  if (!holder) return ageOf(path) < UNFINISHED
  if (holder.host !== hostname()) return ageOf(path) < STALE
  if (!isAlive(holder.pid) || (holder.started !== undefined && holder.started !== startOf(holder.pid))) return false
  return holder.door === undefined || isDoorOpen(holder.door)
}

function readHolder(path: string): Holder | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Holder
  } catch {
    return undefined
  }
}

/** How long ago a file was written; one that has gone is infinitely old. */
function ageOf(path: string): number {
  const stats = statSync(path, { throwIfNoEntry: false })
  return stats ? Date.now() - stats.mtimeMs : Infinity
}

function touch(path: string): void {
  try {
    utimesSync(path, new Date(), new Date())
  } catch {
    // The folder was deleted under a running process: its journals will tell.
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** On Linux, field 22 of `/proc/<pid>/stat`: the start of the process in ticks since boot. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return undefined
  }
}

function locked(folder: string, holder: Holder | undefined): QueueError {
  const { pid, host } = holder ?? {}
  const who = pid === process.pid ? 'this process' : `process ${pid}${host === hostname() ? '' : ` on ${host}`}`
  const hint =
    'Stop that one, give this one a folder of its own, or use the redis or postgres adapter for many processes.'
  return new QueueError('STORE_LOCKED', `The folder ${folder} is in use by ${who}. ${hint}`, {
    details: { folder, pid, host },
  })
}
