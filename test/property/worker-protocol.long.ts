// 100,000 frames. `npm test` sends 20,000.
import { nearlyRightFrames } from './nearly-right-frames.ts'

nearlyRightFrames(100_000)
