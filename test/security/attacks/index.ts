import { CONTENTS } from './contents.ts'
import { REQUESTS } from './requests.ts'
import type { Attack } from './send.ts'

export const ATTACKS: readonly Attack[] = [...REQUESTS, ...CONTENTS]
