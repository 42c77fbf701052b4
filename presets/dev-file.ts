import eventsFile from '../plugins/adapters/file/events/index.ts'
import file from '../plugins/adapters/file/connection/index.ts'
import queueFile from '../plugins/adapters/file/queue/index.ts'
import { definePreset } from '../kernel/index.ts'
import { capabilities } from './common.ts'

/** For one process, with all data in a folder on disk. It survives crashes and restarts, and needs no server. */
export default definePreset({ name: 'dev-file', plugins: [file, queueFile, eventsFile, ...capabilities] })
