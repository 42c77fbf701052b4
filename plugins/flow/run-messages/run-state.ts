import type { Kernel, WorkerDefinition } from '../../../kernel/index.ts'
import { createStateSchemas } from '../../context/lib/state-schema.ts'

/** Reads the states of runs as queries and updates see them, and returns the schemas of their workers. */
export function createRunStates(kernel: Kernel) {
  const schemaOf = createStateSchemas()

  return {
    schemaOf,
    /** Returns a copy of the state of a run. Keys that were never written have the defaults of their schemas. */
    async read(worker: WorkerDefinition, runId: string): Promise<Record<string, unknown>> {
      const schema = schemaOf(worker)
      const state = await kernel.state(runId)
      for (const key of Object.keys(worker.worker.state?.shape ?? {})) {
        const initial = Object.hasOwn(state, key) ? undefined : schema.initial(key)
        if (initial !== undefined) state[key] = initial
      }
      return state
    },
  }
}
export type RunStates = ReturnType<typeof createRunStates>
