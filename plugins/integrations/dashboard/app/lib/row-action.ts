import type { IconName } from './icons.ts'

/** What can be done with a row of a list. */
export interface RowAction {
  name: string
  label: string
  icon: IconName
  act: () => Promise<unknown> | void
}
