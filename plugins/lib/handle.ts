/**
 * The base of objects that are plain data with methods on their prototype. `copyValue` and `encodeJson` take one as its
 * data. It says that it is an `Object`, so that libraries that look for plain objects and `console.log` do too.
 */
export abstract class Handle {
  /** Returns the data. h3 2 sends an object that is not plain as JSON only if it has this method. */
  toJSON(): object {
    return Object.fromEntries(Object.entries(this))
  }
}
Reflect.deleteProperty(Handle.prototype, 'constructor')

/**
 * Adds methods to the prototype of a class, as those of classes are: not enumerable.
 *
 * @param type whose instances get them
 */
export function addMethods(type: { prototype: Handle }, methods: object): void {
  for (const [name, value] of Object.entries(methods)) {
    Object.defineProperty(type.prototype, name, { value, configurable: true, writable: true })
  }
}

/** True for an object that is data and nothing else, and for a `Handle`, whose own members are. */
export function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null || value instanceof Handle
}
