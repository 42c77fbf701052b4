import { definePlugin, systemClock } from 'nuxt-queue/kernel'
import { PLUGIN_EVENTS, RUN_EVENTS } from '../../scripts/reference/event-types.ts'
import type { Failpoint } from './schedule.ts'

/** The types of all events that the sources write. The generated reference holds them to be complete and up to date. */
const TYPES = new Set([...Object.values(RUN_EVENTS).flat(), ...PLUGIN_EVENTS].map(([type]) => type))

/** @throws Error for a point that no process reaches, because a schedule with it would kill nobody */
export function assertPoint(name: string): void {
  const [, type] = /^emit:(?:before|after):(.+)$/.exec(name) ?? []
  const isPoint = type === undefined ? /^(?:enqueue|dispatch):(?:before|after)$/.test(name) : TYPES.has(type)
  if (isPoint) return
  throw new Error(`There is no failpoint "${name}". Use enqueue, dispatch or emit:<type> of an event that is written.`)
}

/** Kills the process when it reaches a point for the nth time, like a power failure. */
export function failpoint(point: Failpoint | undefined) {
  if (point) assertPoint(point.name)
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
