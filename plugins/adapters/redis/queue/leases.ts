import { timerDelay } from '../../../../kernel/index.ts'
import { defineScript, type RedisPort } from '../lib/redis.ts'
import { RECLAIM, RECOVER, RENEW } from './lease-scripts.ts'
import type { watchQueue } from './queue-outages.ts'
import type { Claimed } from './settlement.ts'

/** How often to search for jobs whose lease has expired, in milliseconds. */
const RECLAIM_INTERVAL = 2000

export interface LeasesOptions {
  redis: RedisPort
  base: string
  keys: readonly string[]
  holder: string
  outages: ReturnType<typeof watchQueue>
  /** The claimed jobs whose outcome is not stored. */
  unsettled: ReadonlySet<Claimed>
  /** Called when another consumer has claimed a job. */
  lose(claimed: Claimed): void
  /** Called when there may be a job to claim. */
  wake(): void
}

/**
 * Renews the leases of the jobs of one consumer, and returns jobs to the queue that no process runs any more: jobs of any consumer whose lease has
 * expired, and jobs that this consumer claimed with a call whose result was lost.
 */
export function createLeases({ redis, base, keys, holder, outages, unsettled, lose, wake }: LeasesOptions) {
  const { lease } = redis
  const renewScript = defineScript(redis, RENEW)
  const reclaimScript = defineScript(redis, RECLAIM)
  const recoverScript = defineScript(redis, RECOVER)
  let needRecovery = false
  let stopped = false

  const reclaimInterval = Math.min(RECLAIM_INTERVAL, lease / 2)
  const renewing = setInterval(() => void renew(), timerDelay(lease / 3))
  const reclaiming = setInterval(() => void reclaim(), timerDelay(reclaimInterval))
  const unwatch = redis.onReconnect(() => {
    needRecovery = true
    void renew()
    wake()
  })

  async function renew(): Promise<void> {
    const held = [...unsettled].filter(({ stored }) => !stored)
    if (held.length === 0) return
    try {
      const args = held.flatMap(({ key, claim }) => [key, claim])
      const lost = new Set((await renewScript(keys, [base, holder, lease, ...args])) as string[])
      outages.renewal.worked()
      for (const claimed of held) {
        if (lost.has(claimed.key) && unsettled.has(claimed) && !claimed.stored) lose(claimed)
      }
    } catch (error) {
      if (!stopped) outages.renewal.failed(error)
    }
  }

  async function reclaim(): Promise<void> {
    try {
      const reclaimed = (await reclaimScript(keys, [base, Math.floor(reclaimInterval * 0.9)])) as string[]
      outages.search.worked()
      // The marker may wake a worker whose process is frozen, so this consumer polls as well.
      if (reclaimed.length > 0) wake()
    } catch (error) {
      if (!stopped) outages.search.failed(error)
    }
  }

  return {
    /** True after a broken connection, until `recover` has worked. */
    get needRecovery() {
      return needRecovery
    },
    /** Returns jobs to the queue that a call claimed whose result was lost. */
    async recover(): Promise<void> {
      needRecovery = false
      try {
        await recoverScript(keys, [base, holder, ...[...unsettled].map(({ key }) => key)])
      } catch (error) {
        needRecovery = true
        throw error
      }
    },
    stopReclaiming(): void {
      clearInterval(reclaiming)
    },
    stop(): void {
      stopped = true
      clearInterval(renewing)
      clearInterval(reclaiming)
      unwatch()
    },
  }
}
