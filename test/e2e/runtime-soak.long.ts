// 10,000 jobs. `npm test` runs 1,000.
import { leavesNothingBehind } from './leaves-nothing.ts'

leavesNothingBehind(10_000)
