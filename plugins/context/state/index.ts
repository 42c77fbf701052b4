import type { StandardSchemaV1 } from '@standard-schema/spec'
import { z } from 'zod'
import { definePlugin, invalid, isCount, isMoment, type Kernel } from '../../../kernel/index.ts'
import { checkOptions } from '../../lib/check-options.ts'
import { anySchema, workerOption } from '../../lib/worker-option.ts'
import { addLazyMember } from '../../lib/lazy-member.ts'
import { foldState } from '../lib/fold-state.ts'
import { createProjection } from '../../lib/projection.ts'
import { cloneValue } from '../../lib/value.ts'
import type { RunState } from './api.ts'
import { createStateHandle } from './handle.ts'
import { createStateSchemas, type StateOption } from '../lib/state-schema.ts'

export type { RunState } from './api.ts'

declare module 'nuxt-queue/kernel' {
  interface WorkerConfig {
    /** A schema that checks each write to the state of a run, such as `z.object({ … })`. */
    state?: StateOption
  }
  interface RunContext {
    readonly state: RunState
  }
  interface ConfiguredContext<C> {
    readonly state: RunState<StateOf<C>>
  }
  interface Kernel {
    /**
     * Returns the state of a run, folded from its events.
     *
     * @param options.at a `seq` or a date. Default: now
     * @throws QueueError `OPTION_INVALID`
     * @example
     * await kernel.state(runId, { at: 12 })
     */
    state(runId: string, options?: { at?: number | Date }): Promise<Record<string, unknown>>
  }
}

type StateOf<C> = C extends { state: infer S extends StandardSchemaV1 }
  ? StandardSchemaV1.InferOutput<S> & object
  : Record<string, unknown>

const objectSchema = anySchema.refine(
  (value) => typeof Object(value).shape === 'object',
  'is a schema of an object that has a `shape`, such as z.object({ … })',
)

/** Adds `ctx.state` to handlers and `state()` to the kernel. Both fold the events of a run. */
export default definePlugin({
  name: 'state',
  requires: ['events'],
  options: z.strictObject({
    /** How many events are folded between two snapshots. Default 1,000. */
    snapshotEvery: z.number().int().min(1).default(1000),
  }),
  workerOptions: { state: workerOption('state', objectSchema) },
  setup(kernel, { snapshotEvery }) {
    const schemaOf = createStateSchemas()
    const projection = createProjection<Record<string, unknown>>(() => kernel.port('events'), {
      reducer: () => reducerName(kernel),
      initial: () => Object.create(null) as Record<string, unknown>,
      apply: (state, events, runId, at) => kernel.reduce({ runId, events, at, state }),
      snapshotEvery,
    })

    kernel.hook('reduce', (payload, next) => {
      foldState(payload)
      return next()
    })
    addLazyMember(kernel, 'state', (ctx) => createStateHandle(kernel, ctx, projection, schemaOf(ctx.worker)))
    kernel.extend({
      state: async (runId: string, options: { at?: number | Date } = {}) => {
        const { at } = checkOptions('state()', options, { at: checkPosition })
        const state = at === undefined ? (await projection.current(runId)).state : await projection.at(runId, at)
        return cloneValue({ ...state })
      },
    })
  },
})

/** Accepts the `seq` of an event, or a date. */
function checkPosition(what: string, value: unknown): number | Date {
  if (value instanceof Date ? isMoment(value) : isCount(value, 0)) return value as number | Date
  throw invalid(what, 'the seq of an event, or a valid Date', value)
}

/** Returns the name of the fold. It includes the version of the upcasters, because they change the folded events. */
function reducerName({ upcasts }: Partial<Pick<Kernel, 'upcasts'>>): string {
  return upcasts?.version ? `state@1+${upcasts.version}` : 'state@1'
}
