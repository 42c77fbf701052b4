// On each preset. `npm test` plays the main job in memory, on files and on Redis.
import './presets.test.ts'
