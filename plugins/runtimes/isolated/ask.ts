/** Calls a method of the host's context for one execution. */
export type CallHost = (method: string, params?: object) => Promise<unknown>
