/** A column of a table. Its cells are in the slot with its key. */
export interface Column {
  key: string
  label: string
  /** The name for screen readers, for a column without a label. */
  hint?: string
  /** Aligned to the right, as numbers and moments are. */
  right?: boolean
  /** Left out on a phone. */
  wide?: boolean
  /** Left out where the window is no wider than a laptop's: it repeats what other columns say. */
  roomy?: boolean
  /** Takes the space that the other columns leave. */
  fill?: boolean
}
