import { QueueError } from '../../../kernel/index.ts'

const WORDS: Readonly<Record<string, boolean>> = {
  ...{ true: true, 1: true, yes: true, on: true },
  ...{ false: false, 0: false, no: false, off: false },
}

/**
 * What the variable `NUXT_QUEUE_WORKER` says: whether this process runs jobs. `undefined` where it says nothing.
 *
 * @throws QueueError `CONFIG_INVALID` for a word that is neither yes nor no
 */
export function workerSwitch(env: Readonly<Record<string, string | undefined>>): boolean | undefined {
  const value = env.NUXT_QUEUE_WORKER
  if (!value) return undefined
  const word = value.trim().toLowerCase()
  if (Object.hasOwn(WORDS, word)) return WORDS[word]
  throw new QueueError('CONFIG_INVALID', `NUXT_QUEUE_WORKER is ${Object.keys(WORDS).join(', ')}; got "${value}".`)
}
