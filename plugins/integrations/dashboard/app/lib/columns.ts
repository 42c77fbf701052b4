/** A column of a table. Its cells are in the slot with its key. */
export interface Column {
  key: string
  label: string
  /** The name for screen readers, for a column without a label. */
  hint?: string
  /** Aligned to the right, for numbers and moments. */
  right?: boolean
  /** Hidden on a phone. */
  wide?: boolean
  /** Hidden in windows up to the width of a laptop, because it repeats other columns. */
  roomy?: boolean
  /** Takes the remaining width. */
  fill?: boolean
}
