import type { z } from 'zod'
import type { Kernel, MaybePromise } from '../../../../kernel/index.ts'
import type { HttpAction } from '../access.ts'

/** The names of the parameters in a path such as `jobs/:queue/:job`. */
type ParamsOf<Path extends string> = Path extends `${string}:${infer Name}/${infer Rest}`
  ? Name | ParamsOf<Rest>
  : Path extends `${string}:${infer Name}`
    ? Name
    : never

/** The members of an action that a path can name. */
export type Subject = Partial<Omit<HttpAction, 'type'>>

type Output<S> = S extends z.ZodType ? z.output<S> : undefined

/** A request that has been validated and authorized. */
export interface RouteCall<Path extends string, Query, Body> {
  kernel: Kernel
  request: Request
  params: Record<ParamsOf<Path>, string>
  query: Output<Query>
  body: Output<Body>
  /** Returns whether the request may see a part of the response, such as an entry of a list. */
  mayRead(action: HttpAction): Promise<boolean>
  /**
   * Authorizes the request again when more is known about its subject, such as the run of a job.
   *
   * @throws QueueError `REQUEST_FORBIDDEN`
   */
  assertMay(subject: Subject): Promise<void>
  /** The OpenAPI document of all routes. */
  document: () => string
}

/** An entry of the table that defines routing, validation, authorization and the OpenAPI document. */
export interface RouteDefinition<
  Path extends string = string,
  Query extends z.ZodObject | undefined = z.ZodObject | undefined,
  Body extends z.ZodType | undefined = z.ZodType | undefined,
> {
  /** The name of the route in the OpenAPI document. */
  id: string
  method: 'GET' | 'POST' | 'DELETE'
  /** The path below `<path>api/`. Its parameters have the names of the members of `HttpAction`. */
  path: Path
  action: HttpAction['type']
  summary: string
  /**
   * False if the request makes changes but does not end or overwrite anything. Clients ask for confirmation before destructive requests.
   */
  destructive?: false
  /** True if a repetition with the same values has no further effect. */
  idempotent?: true
  query?: Query
  body?: Body
  /** The schema of the JSON response. */
  answer: z.ZodType
  /** The status of the response. Default 200. */
  status?: 200 | 202
  /** The media type of a response that is not JSON. */
  media?: string
  /** Returns the members of the action that the path does not contain, from a body that has not been validated yet. */
  subject?: (kernel: Kernel, body: Readonly<Record<string, unknown>>) => Subject
}

export interface AnsweringRoute<
  Path extends string = string,
  Query extends z.ZodObject | undefined = z.ZodObject | undefined,
  Body extends z.ZodType | undefined = z.ZodType | undefined,
> extends RouteDefinition<Path, Query, Body> {
  /** Returns a value that becomes JSON, or a Response. */
  handle(call: RouteCall<Path, Query, Body>): MaybePromise<unknown>
}

/** The source of a stream, a run or `'*'`, and where it begins. */
export interface StreamRequest {
  stream: string
  /** The position after which the stream begins. If absent, the stream contains only new events. */
  after?: number | string
}

export interface StreamRoute<
  Path extends string = string,
  Query extends z.ZodObject | undefined = z.ZodObject | undefined,
> extends RouteDefinition<Path, Query, undefined> {
  stream(call: RouteCall<Path, Query, undefined>): MaybePromise<StreamRequest>
}

/** A route with any types. Its handler receives values that its own schemas have validated, so the table needs no types for them. */
export type Route = RouteDefinition & {
  handle?(call: RouteCall<string, undefined, undefined>): MaybePromise<unknown>
  stream?(call: RouteCall<string, undefined, undefined>): MaybePromise<StreamRequest>
}

export function route<
  const Path extends string,
  Query extends z.ZodObject | undefined = undefined,
  Body extends z.ZodType | undefined = undefined,
>(definition: AnsweringRoute<Path, Query, Body>): Route {
  return definition as unknown as Route
}

export function streamRoute<const Path extends string, Query extends z.ZodObject | undefined = undefined>(
  definition: StreamRoute<Path, Query>,
): Route {
  return definition as unknown as Route
}
