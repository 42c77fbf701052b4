export { createTestKernel, drain } from './test-kernel.ts'
export type { TestKernel, TestKernelOptions, TestWorker } from './test-kernel.ts'
export { createVirtualClock, settled, toMilliseconds, VIRTUAL_EPOCH } from './virtual-clock.ts'
export type { Duration, VirtualClock } from './virtual-clock.ts'
