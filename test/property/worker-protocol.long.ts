import { nearlyRightFrames } from './nearly-right-frames.ts'

nearlyRightFrames(100_000)
