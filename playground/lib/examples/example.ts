import type { Kernel, QueueConfig } from 'nuxt-queue'

export type Print = (line: string) => void

export interface Example {
  /** Returns the configuration that the example needs, and how to clean up afterwards. */
  config?(): Promise<{ config: QueueConfig; ready(kernel: Kernel): void; dispose(): void }>
  /** Runs the example and returns its result. */
  run(kernel: Kernel, print: Print): Promise<unknown>
}
