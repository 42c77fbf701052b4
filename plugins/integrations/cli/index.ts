import { resolve } from 'pathe'
import { z } from 'zod'
import { definePlugin } from '../../../kernel/index.ts'
import { createAnswers } from './answers.ts'
import { serve } from './server.ts'

export { createTimeline, followTimeline, formatDuration, type Timeline } from './timeline.ts'

/**
 * Lets the commands of `nuxt-queue` talk to this process, as `nuxt-queue dev` does: they find it by
 * its folder.
 */
export default definePlugin({
  name: 'cli',
  requires: ['queue', 'events', 'control', 'state', 'flow', 'explain'],
  options: z.strictObject({
    /** The folder commands are run in. Default: the working directory. */
    cwd: z.string().optional(),
  }),
  async setup(kernel, { cwd = process.cwd() }) {
    const folder = resolve(cwd)
    const { close } = await serve(folder, createAnswers(kernel, folder))
    return close
  },
})
