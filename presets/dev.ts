import eventsMemory from '../plugins/adapters/memory/events/index.ts'
import queueMemory from '../plugins/adapters/memory/queue/index.ts'
import { definePreset } from '../kernel/index.ts'
import { capabilities } from './common.ts'

/** Everything in the memory of one process; gone with it. */
export default definePreset({ name: 'dev', plugins: [queueMemory, eventsMemory, ...capabilities] })
