export { createPluginHarness } from './harness.ts'
export type { Harness, HarnessOptions, PluginHarness, PluginHarnessOptions } from './harness.ts'
export { queueConformance } from './queue/index.ts'
export type { QueueConformanceOptions, QueueHarness, QueueHarnessOptions } from './queue/index.ts'
