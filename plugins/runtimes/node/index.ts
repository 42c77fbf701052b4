import { definePlugin, QueueError } from '../../../kernel/index.ts'
import { loadModule } from '../lib/load-module.ts'
import { containStrayErrors } from './stray-errors.ts'
import { z } from 'zod'

/** Runs handlers in the process of the application. */
export default definePlugin({
  name: 'runtime-node',
  configKey: 'node',
  options: z.strictObject({
    /**
     * What happens when code that a handler left running throws an uncaught error. `contain` fails the job
     * and keeps the process. `crash` leaves the error to Node, which ends the process. Default `contain`.
     */
    strayErrors: z.enum(['contain', 'crash']).default('contain'),
  }),
  setup(kernel, { strayErrors }) {
    kernel.provide('runtime', {
      name: 'node',
      extensions: ['.ts', '.mts', '.cts', '.js', '.mjs', '.cjs'],
      load: loadModule,
      execute({ id, handler }, ctx) {
        if (!handler) {
          throw new QueueError('WORKER_INVALID', `Worker "${id}" has no handler. Export a handler as default.`, {
            retryable: false,
          })
        }
        return handler(ctx.job, ctx)
      },
    })
    if (strayErrors === 'contain') return containStrayErrors()
  },
})
