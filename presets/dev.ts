import eventsMemory from '../plugins/adapters/memory/events/index.ts'
import queueMemory from '../plugins/adapters/memory/queue/index.ts'
import { definePreset } from '../kernel/index.ts'
import { capabilities } from './common.ts'

/** For one process, with all data in memory. The data is lost when the process ends. */
export default definePreset({ name: 'dev', plugins: [queueMemory, eventsMemory, ...capabilities] })
