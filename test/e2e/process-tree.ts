import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

/** Linux tells of every process in a folder of its own. */
async function parentOf(pid: string): Promise<number | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  if (stat === undefined) return undefined
  // The name of the command stands in parentheses and may hold anything.
  const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return state === 'Z' ? undefined : Number(parent)
}

/** The processes that another one has started and that live. */
export async function childrenOf(parent: number): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const parents = await Promise.all(pids.map(parentOf))
  return pids.filter((_, index) => parents[index] === parent).map(Number)
}

export async function isAlive(pid: number): Promise<boolean> {
  return (await parentOf(String(pid))) !== undefined
}

/** Waits until a process is no more, which nobody tells who is not its parent. */
export async function gone(pid: number, patience = 30_000): Promise<void> {
  const deadline = performance.now() + patience
  while (await isAlive(pid)) {
    if (performance.now() > deadline) throw new Error(`Process ${pid} still lives after ${patience} ms.`)
    await sleep(10)
  }
}
