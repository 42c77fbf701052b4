// All pairs of runtime and preset. `npm test` tries Node and Python on Redis, and isolated Node on PostgreSQL.
import { runtimesOnPresets } from './runtimes-on-presets.ts'

runtimesOnPresets()
