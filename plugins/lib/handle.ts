/**
 * The base of objects that are plain data with methods on their prototype. `copyValue` and `encodeJson` treat a handle as its data. The
 * name of its constructor is `Object`, so libraries that look for plain objects and `console.log` treat it in the same way.
 */
export abstract class Handle {
  /** Returns the data. h3 2 sends an object that is not plain as JSON only if it has this method. */
  toJSON(): object {
    return Object.fromEntries(Object.entries(this))
  }
}
Reflect.deleteProperty(Handle.prototype, 'constructor')

/**
 * Adds methods to the prototype of a class. They are not enumerable, like methods of classes.
 *
 * @param type the class whose instances get the methods
 */
export function addMethods(type: { prototype: Handle }, methods: object): void {
  for (const [name, value] of Object.entries(methods)) {
    Object.defineProperty(type.prototype, name, { value, configurable: true, writable: true })
  }
}

/** Whether an object is plain data, or a `Handle`, whose own members are plain data. */
export function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null || value instanceof Handle
}
