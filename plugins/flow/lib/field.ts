import { isText } from '../../../kernel/index.ts'

/** Returns a field of plain data by its path, such as `order.id`. */
export function valueAtPath(data: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((value, name) => {
    const own = typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    return own ? (value as Record<string, unknown>)[name] : undefined
  }, data)
}

/** Returns the keys by which waits and cancellations find an event: its own, or those in fields of its payload. */
export function eventKeysOf({ key, payload }: { key: string; payload: unknown }, paths: Iterable<string>): Set<string> {
  if (key !== '') return new Set([key])
  const found = [...new Set(paths)].map((path) => valueAtPath(payload, path)).filter((value) => isKey(value))
  return new Set(['', ...found.map(String)])
}

/** Whether a value can be the key of an event. */
export function isKey(value: unknown): value is string | number {
  return typeof value === 'number' || isText(value)
}
