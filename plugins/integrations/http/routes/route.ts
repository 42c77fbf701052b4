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

/** A request as a route sees it: checked, and allowed. */
export interface Call<Path extends string, Query, Body> {
  kernel: Kernel
  request: Request
  params: Record<ParamsOf<Path>, string>
  query: Output<Query>
  body: Output<Body>
  /** Whether a part of an answer, such as an entry of a list, may be seen. */
  mayRead(action: HttpAction): Promise<boolean>
  /**
   * Asks again once it is known what the request is about, such as the run of a job.
   *
   * @throws QueueError `REQUEST_FORBIDDEN`
   */
  assertMay(subject: Subject): Promise<void>
  /** The OpenAPI document of all routes. */
  document: () => string
}

/** One line of the table that drives routing, checks, authorization and the OpenAPI document. */
export interface RouteDefinition<
  Path extends string = string,
  Query extends z.ZodObject | undefined = z.ZodObject | undefined,
  Body extends z.ZodType | undefined = z.ZodType | undefined,
> {
  /** Names it in the OpenAPI document. */
  id: string
  method: 'GET' | 'POST' | 'DELETE'
  /** Below `<path>api/`. What a parameter is called is also what it is in the action, see `HttpAction`. */
  path: Path
  action: HttpAction['type']
  summary: string
  query?: Query
  body?: Body
  /** What it answers, as JSON. */
  answer: z.ZodType
  /** Default 200. */
  status?: 200 | 202
  /** The media type of an answer that is no JSON. */
  media?: string
  /** What the action is about beside the parameters of the path, from a body that nobody has checked yet. */
  subject?: (kernel: Kernel, body: Readonly<Record<string, unknown>>) => Subject
}

export interface AnsweringRoute<
  Path extends string = string,
  Query extends z.ZodObject | undefined = z.ZodObject | undefined,
  Body extends z.ZodType | undefined = z.ZodType | undefined,
> extends RouteDefinition<Path, Query, Body> {
  /** Answers what becomes JSON, or a Response. */
  handle(call: Call<Path, Query, Body>): MaybePromise<unknown>
}

/** What a stream follows: a run, or `'*'`; and from where. */
export interface StreamRequest {
  stream: string
  /** Absent: what is new. */
  after?: number | string
}

export interface StreamRoute<
  Path extends string = string,
  Query extends z.ZodObject | undefined = z.ZodObject | undefined,
> extends RouteDefinition<Path, Query, undefined> {
  stream(call: Call<Path, Query, undefined>): MaybePromise<StreamRequest>
}

/** Any route. What a handler is given has been checked against its own schemas, which the table need not know. */
export type Route = RouteDefinition & {
  handle?(call: Call<string, undefined, undefined>): MaybePromise<unknown>
  stream?(call: Call<string, undefined, undefined>): MaybePromise<StreamRequest>
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
