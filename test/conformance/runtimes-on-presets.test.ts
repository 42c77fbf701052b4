import { runtimesOnPresets } from './runtimes-on-presets.ts'

// What a store does for a runtime with processes, it does for each. The long form goes through all pairs.
runtimesOnPresets(['node on prod-redis', 'python on prod-redis', 'node-isolated on prod-postgres'])
