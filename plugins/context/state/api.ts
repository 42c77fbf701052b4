/** State of a run as a handler sees it. Every write is an event; reads fold the events up to the call. */
export interface RunState<S extends object = Record<string, unknown>> {
  /** A copy of the value, or the default its schema gives. */
  get<K extends keyof S & string>(key: K): Promise<S[K] | undefined>
  has(key: keyof S & string): Promise<boolean>
  /** A copy of everything. */
  getAll(): Promise<Partial<S>>
  /** Resolves once the write is stored. @throws QueueError `VALIDATION_FAILED`, `VALUE_UNSUPPORTED`, `RUN_ENDED` */
  set<K extends keyof S & string>(key: K, value: S[K]): Promise<void>
  /** Writes several keys in one event: all or none. */
  setBatch(values: Partial<S>): Promise<void>
  delete(key: keyof S & string): Promise<void>
  /**
   * Computes a value from the present one and stores it if nobody has written the key meanwhile,
   * else tries again. `change` may run several times.
   *
   * @example
   * await ctx.state.update('count', (count = 0) => count + 1)
   */
  update<K extends keyof S & string>(key: K, change: (value: S[K] | undefined) => S[K] | Promise<S[K]>): Promise<S[K]>
  /**
   * Writes a value if the present one equals `expected` in depth, and tells whether it did: what an
   * update comes down to where its function runs in another process.
   */
  compareAndSet<K extends keyof S & string>(key: K, expected: S[K] | undefined, value: S[K]): Promise<boolean>
}
