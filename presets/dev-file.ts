import eventsFile from '../plugins/adapters/file/events/index.ts'
import file from '../plugins/adapters/file/connection/index.ts'
import queueFile from '../plugins/adapters/file/queue/index.ts'
import { definePreset } from '../kernel/index.ts'
import { capabilities } from './common.ts'

/** One process, everything in a folder on disk: survives crashes and restarts, needs no server. */
export default definePreset({ name: 'dev-file', plugins: [file, queueFile, eventsFile, ...capabilities] })
