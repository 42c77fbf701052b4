import { randomUUID } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { dirname, join } from 'pathe'
import { QueueError } from '../../../../kernel/index.ts'
import { PRIVATE_FOLDER } from '../../../lib/private-folder.ts'
import { isThreadAlive, openLivenessSocket } from './liveness-socket.ts'

/** How often the holder updates the lock file, in milliseconds. Processes on other machines cannot look for its pid. */
const HEARTBEAT = 5000
/** A lock from another machine is stale after this many milliseconds without a heartbeat. */
const STALE_AFTER = 30_000
/** How often a process that waits for a lock tries again, in milliseconds. */
const RETRY = 50
/** A lock file that is incomplete for longer than this was left by a process that died while it wrote the file, in milliseconds. */
const UNFINISHED = 2000

/** The content of the lock file. Processes of other releases read it too. */
interface Holder {
  pid: number
  host: string
  /** When the process started, as the system reports it. It tells apart processes with a reused pid. */
  started: string | undefined
  nonce: string
  /** The liveness socket of a worker thread. The name `door` is part of the file format. */
  door?: string
}

export interface FolderLock {
  release(): void
}

/**
 * Locks a folder for one kernel. The file `lock` in the folder names the holder. The lock of a dead process is taken
 * over. If several processes try to take it over, exactly one succeeds.
 *
 * @param timeout how long to wait for the holder to release the lock, in milliseconds
 * @throws QueueError `STORE_LOCKED`, whose message names the holding process; `STORE_REFUSED` or `STORE_UNAVAILABLE` if files cannot be
 *   written to the folder
 */
export async function lockFolder(folder: string, timeout: number): Promise<FolderLock> {
  writing(folder, () => mkdirSync(folder, { recursive: true, mode: PRIVATE_FOLDER }))
  const path = join(folder, 'lock')
  const deadline = Date.now() + timeout
  const nonce = randomUUID()
  const socket = await openLivenessSocket(nonce)
  const ownHolder: Holder = {
    pid: process.pid,
    host: hostname(),
    started: startOf(process.pid),
    nonce,
    door: socket?.path,
  }
  while (!create(path, ownHolder) && !(await takeOver(path, ownHolder))) {
    if (Date.now() >= deadline) {
      socket?.close()
      throw locked(folder, readHolder(path))
    }
    await sleep(RETRY)
  }
  const heartbeat = setInterval(() => touch(path), HEARTBEAT).unref()
  return {
    release() {
      clearInterval(heartbeat)
      if (readHolder(path)?.nonce === ownHolder.nonce) rmSync(path, { force: true })
      socket?.close()
    },
  }
}

function create(path: string, holder: Holder): boolean {
  return writing(dirname(path), () => {
    try {
      writeFileSync(path, `${JSON.stringify(holder)}\n`, { flag: 'wx' })
      return true
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
      throw error
    }
  })
}

/** Errors of a folder that may accept files later. */
const TEMPORARY = new Set(['ENOSPC', 'EDQUOT', 'EMFILE', 'ENFILE'])

function writing<T>(folder: string, write: () => T): T {
  try {
    return write()
  } catch (cause) {
    const { code = '', message } = cause as NodeJS.ErrnoException
    const hint = 'Use a folder in which this process can create files, or change the owner of this one.'
    const kind = TEMPORARY.has(code) ? 'STORE_UNAVAILABLE' : 'STORE_REFUSED'
    throw new QueueError(kind, `The folder ${folder} cannot be used: ${message}. ${hint}`, {
      cause,
      details: { folder },
    })
  }
}

/** Replaces a stale lock. A second lock file ensures that only one process does so at a time. */
async function takeOver(path: string, ownHolder: Holder): Promise<boolean> {
  if (await isHeld(path)) return false
  const guard = `${path}.takeover`
  if (!create(guard, ownHolder)) {
    if (ageOf(guard) > UNFINISHED) rmSync(guard, { force: true })
    return false
  }
  try {
    if (await isHeld(path)) return false
    const fresh = `${path}.${ownHolder.nonce}`
    writeFileSync(fresh, `${JSON.stringify(ownHolder)}\n`)
    renameSync(fresh, path)
    return true
  } finally {
    rmSync(guard, { force: true })
  }
}

async function isHeld(path: string): Promise<boolean> {
  const holder = readHolder(path)
  if (!holder) return ageOf(path) < UNFINISHED
  if (holder.host !== hostname()) return ageOf(path) < STALE_AFTER
  if (!isAlive(holder.pid) || (holder.started !== undefined && holder.started !== startOf(holder.pid))) return false
  return holder.door === undefined || isThreadAlive(holder.door)
}

function readHolder(path: string): Holder | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Holder
  } catch {
    return undefined
  }
}

/** Returns the age of a file in milliseconds, or `Infinity` if it does not exist. */
function ageOf(path: string): number {
  const stats = statSync(path, { throwIfNoEntry: false })
  return stats ? Date.now() - stats.mtimeMs : Infinity
}

function touch(path: string): void {
  try {
    utimesSync(path, new Date(), new Date())
  } catch {
    // The folder was deleted while the process runs. The journals report that.
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Returns when a process started. On Linux, that is field 22 of `/proc/<pid>/stat`, in clock ticks since boot. */
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
    'Stop that process, use another folder, or use the redis or postgres adapter, which several processes can share.'
  return new QueueError('STORE_LOCKED', `The folder ${folder} is in use by ${who}. ${hint}`, {
    details: { folder, pid, host },
  })
}
