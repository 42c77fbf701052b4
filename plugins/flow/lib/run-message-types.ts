import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { QueueWorkers } from '../../../kernel/index.ts'

/*
 * The types of the queries and updates of a flow, from the configs of its workers. Without generated worker types, every name is accepted,
 * and inputs and responses are `unknown`.
 */

type Kind = 'queries' | 'updates'
type OneOf<T> = T extends readonly (infer One)[] ? One : T
type FlowNames<C> = C extends { flow: infer P } ? (OneOf<P> extends { name: infer N } ? OneOf<N> : never) : never

/** The configs of the workers of a flow. */
type ConfigsOf<F extends string, W> = {
  [Id in keyof W]: W[Id] extends { config: infer C } ? (F extends FlowNames<C> ? C : never) : never
}[keyof W]

/** The queries or updates that the workers of a flow declare: one object for each worker that declares any. */
type DeclaredIn<F extends string, K extends Kind, W> =
  ConfigsOf<F, W> extends infer C ? (C extends Readonly<Record<K, infer D>> ? D : never) : never

type Keys<T> = T extends unknown ? Extract<keyof T, string> : never

/** The names of the queries or updates of a flow. */
export type MessageName<F extends string, K extends Kind, W = QueueWorkers> = [DeclaredIn<F, K, W>] extends [never]
  ? string
  : Keys<DeclaredIn<F, K, W>>

type DefinitionOf<F extends string, K extends Kind, N extends string, W> =
  DeclaredIn<F, K, W> extends infer D ? (D extends Readonly<Record<N, infer One>> ? One : never) : never

type InputFor<D> = [D] extends [never]
  ? unknown
  : D extends { input: StandardSchemaV1<infer I, unknown> }
    ? I
    : D extends (context: infer C) => unknown
      ? C extends { input: infer I }
        ? I
        : unknown
      : unknown

/** The input of a query or an update. It is optional unless its schema needs it. */
export type MessageInput<F extends string, K extends Kind, N extends string, W = QueueWorkers> =
  undefined extends InputFor<DefinitionOf<F, K, N, W>>
    ? [input?: InputFor<DefinitionOf<F, K, N, W>>]
    : [input: InputFor<DefinitionOf<F, K, N, W>>]

/** The response of a query or an update. */
export type MessageResult<F extends string, K extends Kind, N extends string, W = QueueWorkers> =
  DefinitionOf<F, K, N, W> extends infer D
    ? [D] extends [never]
      ? unknown
      : D extends (...all: never[]) => infer R
        ? Awaited<R>
        : D extends { run: (...all: never[]) => infer R }
          ? Awaited<R>
          : D extends { handler: (...all: never[]) => infer R }
            ? Awaited<R>
            : unknown
    : never
