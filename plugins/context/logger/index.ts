import { z } from 'zod'
import { callListener, definePlugin, isFinalRefusal, isQueueError, type RunContext } from '../../../kernel/index.ts'
import { addLazyMember } from '../../lib/lazy-member.ts'
import { toLogEntry, toLoggableEntry } from '../../lib/loggable.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/**
 * Writes log entries of a handler as events of its run, to the console, or both. Any value can be logged: a value that
 * cannot be stored is described, and a value that is too large is cut.
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
     * Writes log entries. Each call resolves when the entry is stored. A handler does not need to await it, because the
     * completion of the job waits for it. If an entry cannot be stored, the error is reported and the job does not fail.
     *
     * @example
     * ctx.logger.info('charged', { cents: 1200 })
     */
    readonly logger: RunLogger
  }
}

const LEVELS = ['debug', 'info', 'warn', 'error'] as const

/** Adds `ctx.logger` to handlers. */
export default definePlugin({
  name: 'logger',
  options: z.strictObject({
    /** `internal` stores entries as `runner.log` events, `external` prints them, `both` does both. Default `internal`. */
    route: z.enum(['internal', 'external', 'both']).default('internal'),
    /** Entries below this level are dropped. Default `debug`. */
    level: z.enum(LEVELS).default('debug'),
  }),
  async setup(kernel, { route, level: lowest }) {
    const output = route === 'internal' ? undefined : (await import('consola')).createConsola({ level: Infinity })

    function createLogger(ctx: RunContext): RunLogger {
      const { name, id } = ctx.job
      const print = output?.withTag(`${name} ${id}`)

      async function write(level: LogLevel, given: unknown, facts?: unknown): Promise<void> {
        if (!LEVELS.includes(level) || LEVELS.indexOf(level) < LEVELS.indexOf(lowest)) return
        const { message, meta } = toLogEntry(given, facts)
        const failed = `A log entry of job "${name}" (${id}) could not be`
        if (print)
          callListener(kernel.reporter, `${failed} printed.`, () => print[level](message, ...(meta ? [meta] : [])))
        if (route === 'external') return
        try {
          await store(level, message, meta)
        } catch (error) {
          // A handler that writes after the end of its job, or has lost the job, must receive the error.
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
