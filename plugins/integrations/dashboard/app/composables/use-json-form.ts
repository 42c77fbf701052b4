import { shallowRef } from 'vue'
import type { RouteLocationRaw } from 'vue-router'

/** A value that is edited as JSON. */
export interface JsonField {
  name: string
  label: string
  value: unknown
  /** Whether the field may stay empty, which leaves the value out. */
  optional?: boolean
}

export interface JsonForm {
  title: string
  text: string
  action: string
  fields: readonly JsonField[]
  submit: (values: Record<string, unknown>) => Promise<unknown>
  done: string
  /** Where to go when it is done. */
  leadsTo?: (answer: unknown) => RouteLocationRaw | undefined
}

export const jsonForm = shallowRef<JsonForm>()

/** Opens a dialog that edits values as JSON before an action. */
export function openForm(form: JsonForm): void {
  jsonForm.value = form
}
