/** The rule of a job option that a plugin of this package declares. */
export interface JobOptionRule {
  /** The values that the option takes, for error messages. */
  expected: string
  test(value: unknown): boolean
  /** Whether a worker's config may set the option as a default of its jobs. Default true. */
  worker?: boolean
}
