import { shallowRef } from 'vue'
import type { RouteLocationRaw } from 'vue-router'

/** A value that is edited as JSON, or as a line of text. */
export interface JsonField {
  name: string
  label: string
  value: unknown
  /** A text in one line, which is passed on as it is. */
  line?: boolean
  placeholder?: string
  /** Whether the field may stay empty, which leaves the value out. */
  optional?: boolean
}

export interface JsonForm {
  title: string
  text: string
  action: string
  fields: readonly JsonField[]
  submit: (values: Record<string, unknown>) => Promise<unknown>
  /** What is shown when it is done. */
  done: string | ((answer: unknown) => string)
  /** Where to go when it is done. */
  leadsTo?: (answer: unknown) => RouteLocationRaw | undefined
}

export const jsonForm = shallowRef<JsonForm>()

/** Opens a dialog that edits values as JSON before an action. */
export function openForm(form: JsonForm): void {
  jsonForm.value = form
}
