/** The state of a run. Every write is an event, and a read folds all events up to the call. */
export interface RunState<S extends object = Record<string, unknown>> {
  /** Returns a copy of a value, or the default of its schema. */
  get<K extends keyof S & string>(key: K): Promise<S[K] | undefined>
  /** Returns whether a key was written. */
  has(key: keyof S & string): Promise<boolean>
  /** Returns a copy of all values. */
  getAll(): Promise<Partial<S>>
  /**
   * Writes a value. Resolves when the write is stored.
   *
   * @throws QueueError `VALIDATION_FAILED`, `VALUE_UNSUPPORTED` or `RUN_ENDED`
   */
  set<K extends keyof S & string>(key: K, value: S[K]): Promise<void>
  /** Writes several keys in one event, so either all of them are stored or none. */
  setBatch(values: Partial<S>): Promise<void>
  /** Removes a key. */
  delete(key: keyof S & string): Promise<void>
  /**
   * Computes a value from the current one, and stores it if the key was not written in the meantime. Otherwise tries again, so `change` may
   * run several times. Returns the stored value.
   *
   * @throws QueueError `EVENTS_CONFLICT` after 1,000 tries
   * @example
   * await ctx.state.update('count', (count = 0) => count + 1)
   */
  update<K extends keyof S & string>(key: K, change: (value: S[K] | undefined) => S[K] | Promise<S[K]>): Promise<S[K]>
  /**
   * Writes a value if the current one deeply equals `expected`. Returns whether it was written. An `update` in another process is built on
   * it.
   *
   * @throws QueueError `EVENTS_CONFLICT` after 1,000 tries
   */
  compareAndSet<K extends keyof S & string>(key: K, expected: S[K] | undefined, value: S[K]): Promise<boolean>
}
