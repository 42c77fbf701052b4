import { resolve } from 'pathe'
import { z } from 'zod'
import { definePlugin } from '../../../kernel/index.ts'
import { createAnswers } from './answers.ts'
import { LOG_LEVELS } from './levels.ts'
import { createOutput } from './output.ts'
import { serve, serveNext } from './server.ts'
import { followTimeline } from './timeline.ts'

export { createTimeline, followTimeline, formatDuration, type Timeline } from './timeline.ts'

/**
 * Lets the commands of `nuxt-queue` connect to this process, like to `nuxt-queue dev`. They find the process by its folder. The plugin can
 * also print the events of jobs.
 */
export default definePlugin({
  name: 'cli',
  requires: ['queue', 'events', 'control', 'state', 'flow', 'explain'],
  options: z.strictObject({
    /** The folder in which commands run. Default: the working directory. */
    cwd: z.string().optional(),
    /** The lowest level of printed events: starts and ends are `info`, retries `warn`, failures `error`. Default `silent`. */
    level: z.enum([...LOG_LEVELS, 'silent']).default('silent'),
    /** Whether to wait in the background for the end of another server of the folder, instead of refusing. Default false. */
    wait: z.boolean().default(false),
  }),
  async setup(kernel, { cwd = process.cwd(), level, wait }) {
    const folder = resolve(cwd)
    const answers = createAnswers(kernel, folder)
    const { close } = wait ? serveNext(folder, answers, kernel.reporter) : await serve(folder, answers)
    if (level === 'silent') return close
    const { line } = createOutput(false)
    const stop = await followTimeline(kernel.port('events'), '*', line, { level })
    return async () => {
      stop()
      await close()
    }
  },
})
