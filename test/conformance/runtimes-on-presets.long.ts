import { runtimesOnPresets } from './runtimes-on-presets.ts'

runtimesOnPresets()
