import { leavesNothingBehind } from './leaves-nothing.ts'

leavesNothingBehind(10_000)
