import { definePlugin, systemClock } from 'nuxt-queue/kernel'
import type { Failpoint } from './schedule.ts'

/** Kills the process when it reaches a point for the nth time, like a power failure. */
export function failpoint(point: Failpoint | undefined) {
  let left = point?.nth ?? Infinity
  const reach = (name: string): void => {
    if (name === point?.name && --left === 0) process.kill(process.pid, 'SIGKILL')
  }
  return definePlugin({
    name: 'failpoint',
    setup(kernel) {
      kernel.hook('enqueue', async (_enqueue, next) => {
        reach('enqueue:before')
        await next()
        reach('enqueue:after')
      })
      kernel.hook('dispatch', async (_dispatch, next) => {
        reach('dispatch:before')
        await next()
        reach('dispatch:after')
      })
      kernel.hook('emit', async ({ events }, next) => {
        const types = events.map(({ type }) => type)
        for (const type of types) reach(`emit:before:${type}`)
        await next()
        for (const type of types) reach(`emit:after:${type}`)
      })
    },
  })
}

/** A clock that is wrong by some milliseconds. */
export function skewedClock(skew: number) {
  return definePlugin({
    name: 'skewed-clock',
    enforce: 'pre',
    setup: (kernel) => kernel.provide('clock', { ...systemClock, now: () => systemClock.now() + skew }),
  })
}
