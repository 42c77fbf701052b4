import { QueueError } from '../../../kernel/index.ts'

const SWITCH_VALUES: Readonly<Record<string, boolean>> = {
  ...{ true: true, 1: true, yes: true, on: true },
  ...{ false: false, 0: false, no: false, off: false },
}

/**
 * Returns whether this process runs jobs according to `NUXT_QUEUE_WORKER`, or `undefined` if the variable is not set.
 *
 * @throws QueueError `CONFIG_INVALID` for a value other than yes or no
 */
export function workerSwitch(env: Readonly<Record<string, string | undefined>>): boolean | undefined {
  const value = env.NUXT_QUEUE_WORKER
  if (!value) return undefined
  const word = value.trim().toLowerCase()
  if (Object.hasOwn(SWITCH_VALUES, word)) return SWITCH_VALUES[word]
  throw new QueueError(
    'CONFIG_INVALID',
    `NUXT_QUEUE_WORKER must be one of ${Object.keys(SWITCH_VALUES).join(', ')}; got "${value}".`,
  )
}
