import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { MaybePromise, RunInfo } from '../../../kernel/index.ts'

/** The schema of a state, or the type of its values. */
type StateLike = object

/**
 * The state that queries and updates receive, from the type of a state or from its schema. A key that was never written has the default of
 * its schema. Without a default, it is absent.
 */
export type StateView<S extends StateLike> =
  S extends StandardSchemaV1<infer I, infer O>
    ? { [K in keyof O as K extends keyof I ? (undefined extends I[K] ? K : never) : never]: O[K] } & {
        [K in keyof O as K extends keyof I ? (undefined extends I[K] ? never : K) : K]?: O[K]
      }
    : S

/** The input that a query or an update receives, from its type or from its schema. */
export type InputView<I> = I extends StandardSchemaV1 ? StandardSchemaV1.InferOutput<I> : I

/**
 * The argument of a query.
 *
 * @example
 * queries: { total: ({ state }: QueryContext<typeof state>) => state.items.length }
 */
export interface QueryContext<S extends StateLike = Record<string, unknown>, I = unknown> {
  readonly flow: string
  readonly runId: string
  readonly status: RunInfo['status']
  /** A copy of the state of the run. */
  readonly state: StateView<S>
  /** The input of the query, after its schema has parsed it. */
  readonly input: InputView<I>
}

/*
 * The arguments as a config declares them, for functions without type annotations. They are not the generic types above, because the type
 * checker compares two uses of a generic type by its parameters, and would refuse every annotation.
 */
type State = Record<string, unknown>
/** The argument of a query without type annotations. */
export interface AnyQuery extends Omit<QueryContext, 'state'> {
  readonly state: State
}
/** The argument of a validator without type annotations. */
export interface AnyCheck extends Omit<UpdateCheck, 'state'> {
  readonly state: State
}
/** The argument of the handler of an update without type annotations. */
export interface AnyUpdate extends AnyCheck, Pick<UpdateContext, 'emit' | 'signal'> {
  set(values: State): void
}

/** A query as an object, if its input has a schema. */
export interface QueryDefinition {
  /** Checks the input. Any Standard Schema. Default: any input is accepted. */
  input?: StandardSchemaV1
  /** Computes the response. It must not have side effects. */
  run(context: AnyQuery): MaybePromise<unknown>
}

/** A query: a function of the state of a run. */
export type QueryOption = QueryDefinition | QueryDefinition['run']

/** The argument of a validator: the run as it is before the update. */
export interface UpdateCheck<S extends StateLike = Record<string, unknown>, I = unknown> {
  readonly flow: string
  readonly runId: string
  /** The id of the update. */
  readonly id: string
  /** A copy of the state of the run. The handler sees the values that it has set. */
  readonly state: StateView<S>
  /** The input of the update, after its schema has parsed it. */
  readonly input: InputView<I>
}

/** The argument of the handler of an update. All its changes are stored in one write, together with the update itself. */
export interface UpdateContext<S extends StateLike = Record<string, unknown>, I = unknown> extends UpdateCheck<S, I> {
  /** Sets keys of the state. The `state` schema of the worker checks the values. */
  set(values: Partial<StateView<S>>): void
  /** Emits an event of the flow, which starts the steps that subscribe to it. */
  emit(event: string, payload?: unknown): void
  /** Sends a signal to the run once the update is stored. It completes a wait of a handler. */
  signal(name: string, payload?: unknown): void
}

/** An update: a change of a running flow that a caller requests and waits for. */
export interface UpdateDefinition {
  /** Checks the input. Any Standard Schema. Default: any input is accepted. */
  input?: StandardSchemaV1
  /**
   * Decides whether the run accepts the update. Return `false`, or a text with the reason, to refuse it. A refused update leaves nothing in
   * the history of the run.
   */
  validate?(context: AnyCheck): MaybePromise<boolean | string | undefined | void>
  /**
   * Changes the run, and returns the response for the caller. It runs again if the run has changed in the meantime, so it must not have side
   * effects. Emit an event for them: the step that subscribes to it does the work.
   */
  handler(context: AnyUpdate): MaybePromise<unknown>
}

declare module 'nuxt-queue/kernel' {
  interface WorkerConfig {
    /**
     * Queries of the runs of the worker's flow, by name. Call them with `kernel.flow(name).query(runId, query)`.
     *
     * @example
     * queries: { total: ({ state }) => state.total }
     */
    queries?: Readonly<Record<string, QueryOption>>
    /**
     * Updates of the runs of the worker's flow, by name. Call them with `kernel.flow(name).update(runId, update, input)`.
     *
     * @example
     * updates: { address: { input: z.string(), handler: ({ input, set }) => set({ address: input }) } }
     */
    updates?: Readonly<Record<string, UpdateDefinition>>
  }
}
