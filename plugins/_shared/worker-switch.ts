/** What the variable `NUXT_QUEUE_WORKER` says: whether this process runs jobs. `undefined` where it says nothing. */
export function workerSwitch(env: Readonly<Record<string, string | undefined>>): boolean | undefined {
  const value = env.NUXT_QUEUE_WORKER
  return value ? value !== 'false' && value !== '0' : undefined
}
