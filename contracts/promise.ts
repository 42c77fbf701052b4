/** Adapters of a synchronous store avoid the cost of a promise. */
export type MaybePromise<T> = T | Promise<T>
