import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

/** Linux has a folder for every process. */
async function parentOf(pid: string): Promise<number | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  if (stat === undefined) return undefined
  // The name of the command is in parentheses and may contain any characters.
  const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return state === 'Z' ? undefined : Number(parent)
}

/** Returns the living children of a process. */
export async function childrenOf(parent: number): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const parents = await Promise.all(pids.map(parentOf))
  return pids.filter((_, index) => parents[index] === parent).map(Number)
}

export async function isAlive(pid: number): Promise<boolean> {
  return (await parentOf(String(pid))) !== undefined
}

/** Waits until a process has ended. Only its parent is notified, so this polls. */
export async function gone(pid: number, patience = 30_000): Promise<void> {
  const deadline = performance.now() + patience
  while (await isAlive(pid)) {
    if (performance.now() > deadline) throw new Error(`Process ${pid} still lives after ${patience} ms.`)
    await sleep(10)
  }
}
