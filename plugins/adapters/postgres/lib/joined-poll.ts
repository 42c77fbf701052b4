/** A poll of a consumer that is one statement with an append, and takes effect only if the append is accepted. */
export interface JoinedPoll {
  /** The queue in pg-boss. One of its jobs is claimed. */
  readonly queue: string
  readonly lease: number
  /** The settlement of the job that ends with the append, as a JSON array. */
  readonly settle: string
  /** The `ctid` of that job after its claim. */
  readonly ctid: string
  /** True to return the id of the settled job. */
  readonly returnSettled: boolean
  /** Called with the rows of the poll if the append was accepted. `repeated` is true if an earlier copy may have taken effect. */
  done(rows: readonly object[], repeated: boolean): void
  /** Called if the append was refused or the statement failed. Nothing was settled or claimed. */
  undone(): void
}

/** The receipt that the `Ending` of a job gets before its append is sent. */
export interface AppendCarrier {
  /** Sends a poll with the append. At most one poll can be joined to an append. */
  join(poll: JoinedPoll): void
}
