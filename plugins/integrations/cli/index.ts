import { resolve } from 'pathe'
import { z } from 'zod'
import { definePlugin } from '../../../kernel/index.ts'
import { createAnswers } from './answers.ts'
import { serve } from './server.ts'

export { createTimeline, followTimeline, formatDuration, type Timeline } from './timeline.ts'

/**
 * Lets the commands of `nuxt-queue` talk to this process, as they talk to `nuxt-queue dev`. They find the process by
 * its folder.
 */
export default definePlugin({
  name: 'cli',
  requires: ['queue', 'events', 'control', 'state', 'flow', 'explain'],
  options: z.strictObject({
    /** The folder in which commands run. Default: the working directory. */
    cwd: z.string().optional(),
  }),
  async setup(kernel, { cwd = process.cwd() }) {
    const folder = resolve(cwd)
    const { close } = await serve(folder, createAnswers(kernel, folder))
    return close
  },
})
