import type { ErrorGroupInfo } from '../../../lib/rest-types.ts'

export const ERROR_STATES = ['open', 'resolved', 'ignored'] as const
export type ErrorState = (typeof ERROR_STATES)[number]
export type ErrorGroup = ErrorGroupInfo
