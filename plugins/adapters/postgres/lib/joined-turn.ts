/** A turn of a consumer that is one statement with an append, and takes effect only if the append is accepted. */
export interface JoinedTurn {
  /**
   * Returns the call of a function that returns the rows of the turn.
   *
   * @param parameter adds a value to the statement and returns its placeholder
   * @param accepted an SQL expression that says whether the append was accepted
   */
  call(parameter: (value: unknown) => string, accepted: string): string
  /** Called with the rows of the turn if the append was accepted. `repeated` is true if an earlier copy may have taken effect. */
  done(rows: readonly object[], repeated: boolean): void
  /** Called if the append was refused or the statement failed. Nothing was settled or claimed. */
  undone(): void
}

/** What identifies an append to the `Ending` of its job, until it is sent. */
export interface AppendCarrier {
  /** Sends a turn with the append. At most one turn can be joined to an append. */
  join(turn: JoinedTurn): void
}
