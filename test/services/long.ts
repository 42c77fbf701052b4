/** Whether the long form of the tests runs: `npm run test:long`. */
export const LONG = process.env.LONG_TESTS !== undefined

/** Returns cases for the long form, and none for the short form, which runs other cases of the same behaviour. */
export function inLongForm<const T>(...cases: T[]): T[] {
  return LONG ? cases : []
}
