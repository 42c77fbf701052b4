import { leavesNothingBehind } from './leaves-nothing.ts'

leavesNothingBehind(1000)
