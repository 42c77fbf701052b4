import eventsFile from '../plugins/events-file/index.ts'
import file from '../plugins/file/index.ts'
import queueFile from '../plugins/queue-file/index.ts'
import { definePreset } from '../kernel/index.ts'
import { capabilities } from './common.ts'

/** One process, everything in a folder on disk: survives crashes and restarts, needs no server. */
export default definePreset({ name: 'dev-file', plugins: [file, queueFile, eventsFile, ...capabilities] })
