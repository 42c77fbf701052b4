import { definePreset } from '../kernel/index.ts'
import dev from './dev.ts'

/** The preset `dev` without background timers and without a scan for worker files. The test kit adds a virtual clock. */
export default definePreset({
  name: 'test',
  extends: dev,
  config: {
    abortGrace: 0,
    retention: { sweepInterval: 0 },
    flow: { checkInterval: 0 },
    streaming: { linger: 0 },
    instances: { heartbeat: 0 },
    step: { grace: 0 },
    registry: { dirs: [] },
  },
})
