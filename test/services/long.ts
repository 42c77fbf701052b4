/** Whether the long form of the tests runs: `npm run test:long`. */
export const LONG = process.env.LONG_TESTS !== undefined
