import { nearlyRightFrames } from './nearly-right-frames.ts'

nearlyRightFrames(20_000)
