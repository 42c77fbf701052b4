import eventsMemory from '../plugins/events-memory/index.ts'
import queueMemory from '../plugins/queue-memory/index.ts'
import { definePreset } from '../kernel/index.ts'
import { capabilities } from './common.ts'

/** Everything in the memory of one process; gone with it. */
export default definePreset({ name: 'dev', plugins: [queueMemory, eventsMemory, ...capabilities] })
