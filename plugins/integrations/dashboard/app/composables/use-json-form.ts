import { shallowRef } from 'vue'
import type { RouteLocationRaw } from 'vue-router'

/** A value that is edited as JSON, or as a line of text. */
export interface JsonField {
  name: string
  label: string
  value: unknown
  /** Whether the value is a single line of text, which is passed on unchanged. */
  line?: boolean
  placeholder?: string
  /** Whether the field may stay empty. The value is then omitted. */
  optional?: boolean
}

export interface JsonForm {
  title: string
  text: string
  action: string
  fields: readonly JsonField[]
  submit: (values: Record<string, unknown>) => Promise<unknown>
  /** The message after the action. */
  done: string | ((answer: unknown) => string)
  /** The page to open after the action. */
  leadsTo?: (answer: unknown) => RouteLocationRaw | undefined
}

export const jsonForm = shallowRef<JsonForm>()

/** Opens a dialog that edits values as JSON before an action. */
export function openForm(form: JsonForm): void {
  jsonForm.value = form
}
