/** Adapters over something synchronous need not pay for a promise. */
export type MaybePromise<T> = T | Promise<T>
