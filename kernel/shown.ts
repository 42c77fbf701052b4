import { inspect } from 'node:util'

/** Returns a value as error messages show it, cut to a readable length. Never throws. */
export function shown(value: unknown): string {
  if (typeof value === 'string') {
    return value.length <= 60
      ? JSON.stringify(value)
      : `${JSON.stringify(value.slice(0, 40))}… (${value.length} characters)`
  }
  try {
    const text = inspect(value, {
      customInspect: false,
      depth: 1,
      breakLength: Infinity,
      maxArrayLength: 5,
      maxStringLength: 40,
    })
    return text.length <= 120 ? text : `${text.slice(0, 100)}…`
  } catch {
    return `a value of type ${typeof value}`
  }
}
