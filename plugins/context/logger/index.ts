import { z } from 'zod'
import { callListener, definePlugin, isFinalRefusal, isQueueError, type RunContext } from '../../../kernel/index.ts'
import { addLazyMember } from '../../lib/lazy-member.ts'
import { toEntry, toLoggableEntry } from '../../lib/loggable.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/**
 * Logs of a handler: events of its run, console output, or both. Anything can be logged: what cannot travel is
 * described, and what is too large is cut.
 */
export interface RunLogger {
  log(level: LogLevel, message: string, meta?: object): Promise<void>
  debug(message: string, meta?: object): Promise<void>
  info(message: string, meta?: object): Promise<void>
  warn(message: string, meta?: object): Promise<void>
  error(message: string, meta?: object): Promise<void>
}

declare module 'nuxt-queue/kernel' {
  interface RunContext {
    /**
     * Resolves once the entry is stored; need not be awaited, since completion waits for it. An entry that
     * cannot be stored is reported and does not fail the job.
     */
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

      async function write(level: LogLevel, given: unknown, facts?: unknown): Promise<void> {
        if (!LEVELS.includes(level) || LEVELS.indexOf(level) < LEVELS.indexOf(lowest)) return
        const { message, meta } = toEntry(given, facts)
        const failed = `An entry of the log of job "${name}" (${id}) could not be`
        if (print)
          callListener(kernel.reporter, `${failed} printed.`, () => print[level](message, ...(meta ? [meta] : [])))
        if (route === 'external') return
        try {
          await store(level, message, meta)
        } catch (error) {
          // Whoever writes after the end, or without the job, has to know.
          if (isQueueError(error, 'RUN_ENDED') || isQueueError(error, 'LEASE_LOST')) throw error
          kernel.reporter.warn(`${failed} stored.`, error)
        }
      }

      async function store(level: LogLevel, message: string, meta: unknown): Promise<void> {
        try {
          await kernel.record(ctx, 'runner.log', { level, message, meta })
        } catch (error) {
          if (!isFinalRefusal(error)) throw error
          await kernel.record(ctx, 'runner.log', { level, ...toLoggableEntry(message, meta) })
        }
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
