import { leavesNothingBehind } from './leaves-nothing.ts'

leavesNothingBehind(2000)
