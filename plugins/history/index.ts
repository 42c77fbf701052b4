import { mkdir, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'pathe'
import { definePlugin, QueueError } from '../../kernel/index.ts'
import { formatHistory, type RunHistory } from '../_shared/history.ts'

export type { RunHistory } from '../_shared/history.ts'

declare module 'nuxt-queue/kernel' {
  interface Kernel {
    /**
     * Writes the history of a run to a file, which `nuxt-queue show`, `state` and `runs` open like a
     * run. Answers what it wrote.
     *
     * @throws QueueError `RUN_NOT_FOUND`, `EVENTS_TRIMMED`
     * @example
     * await kernel.exportRun(runId, `${runId}.jsonl`)
     */
    exportRun(runId: string, file: string): Promise<RunHistory>
  }
}

/** Takes the history of a run out of the store and into a file that outlives it. */
export default definePlugin({
  name: 'history',
  requires: ['events'],
  setup(kernel) {
    kernel.extend({
      async exportRun(runId, file) {
        const store = kernel.port('events')
        const found = await store.runs.get(runId)
        if (!found) {
          const hint = 'It may not have begun, or have expired.'
          throw new QueueError('RUN_NOT_FOUND', `There is no run "${runId}" to export. ${hint}`)
        }
        const events = await store.read(runId)
        // A run that goes on has grown since it was looked up.
        const history = { run: { ...found, head: events.at(-1)?.seq ?? 0 }, events }
        await mkdir(dirname(file), { recursive: true })
        await writeFile(`${file}.part`, formatHistory(history))
        await rename(`${file}.part`, file)
        return history
      },
    })
  },
})
