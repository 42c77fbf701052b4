import { definePreset } from '../kernel/index.ts'
import dev from './dev.ts'

/** Memory, without timers of its own and without a scan of the disk; the test kit adds the virtual clock. */
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
