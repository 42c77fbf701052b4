import { z } from 'zod'
import { definePlugin, type RunContext } from '../../kernel/index.ts'
import { addLazyMember } from '../_shared/lazy-member.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** Logs of a handler: events of its run, console output, or both. */
export interface RunLogger {
  log(level: LogLevel, message: string, meta?: object): Promise<void>
  debug(message: string, meta?: object): Promise<void>
  info(message: string, meta?: object): Promise<void>
  warn(message: string, meta?: object): Promise<void>
  error(message: string, meta?: object): Promise<void>
}

declare module 'nuxt-queue/kernel' {
  interface RunContext {
    /** Resolves once the entry is stored; need not be awaited, since completion waits for it. */
    readonly logger: RunLogger
  }
}

const LEVELS = ['debug', 'info', 'warn', 'error'] as const

/** Gives handlers `ctx.logger`. */
export default definePlugin({
  name: 'logger',
  options: z.strictObject({
    /** `internal` stores entries as `runner.log` events, `external` prints them. Default `internal`. */
    route: z.enum(['internal', 'external', 'both']).default('internal'),
    /** Entries below it are dropped. Default `debug`. */
    level: z.enum(LEVELS).default('debug'),
  }),
  async setup(kernel, { route, level: lowest }) {
    const output = route === 'internal' ? undefined : (await import('consola')).createConsola({ level: Infinity })

    function createLogger(ctx: RunContext): RunLogger {
      const { name, id } = ctx.job
      const print = output?.withTag(`${name} ${id}`)

      async function write(level: LogLevel, message: string, meta?: object): Promise<void> {
        if (!LEVELS.includes(level) || LEVELS.indexOf(level) < LEVELS.indexOf(lowest)) return
        print?.[level](message, ...(meta ? [meta] : []))
        if (route === 'external') return
        await ctx.emit('runner.log', { level, message, meta })
      }
      const log: RunLogger['log'] = (level, message, meta) => ctx.track(write(level, message, meta))
      return {
        log,
        debug: (message, meta) => log('debug', message, meta),
        info: (message, meta) => log('info', message, meta),
        warn: (message, meta) => log('warn', message, meta),
        error: (message, meta) => log('error', message, meta),
      }
    }

    addLazyMember(kernel, 'logger', createLogger)
  },
})
