/** Counts the polls in flight, and the jobs that they may claim. */
export function createPolls() {
  let inFlight = 0
  let claiming = 0
  let pendingClaims = 0
  return {
    get inFlight() {
      return inFlight
    },
    /** The number of polls in flight that claim jobs. */
    get claiming() {
      return claiming
    },
    get pendingClaims() {
      return pendingClaims
    },
    /** Counts a poll that may claim a number of jobs. Returns a function to call once when the poll has returned or failed. */
    begin(wanted: number): () => void {
      const claims = wanted > 0 ? 1 : 0
      inFlight++
      claiming += claims
      pendingClaims += wanted
      return () => {
        inFlight--
        claiming -= claims
        pendingClaims -= wanted
      }
    },
  }
}
