/** Returns a field of plain data by its path, such as `order.id`. */
export function fieldOf(data: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((value, name) => {
    const own = typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    return own ? (value as Record<string, unknown>)[name] : undefined
  }, data)
}
