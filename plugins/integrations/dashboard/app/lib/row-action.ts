import type { IconName } from './icons.ts'

/** An action on a row of a list. */
export interface RowAction {
  name: string
  label: string
  icon: IconName
  act: () => Promise<unknown> | void
}
