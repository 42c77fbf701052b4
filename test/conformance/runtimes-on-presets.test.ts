import { runtimesOnPresets } from './runtimes-on-presets.ts'

// A store treats all runtimes with processes alike, so one pair for each store is enough. The long form runs all pairs.
runtimesOnPresets(['node on prod-redis', 'python on prod-redis', 'node-isolated on prod-postgres'])
