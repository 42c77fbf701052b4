import type { Kernel, QueueConfig } from 'nuxt-queue'

export type Print = (line: string) => void

export interface Example {
  /** What it needs of the configuration, and what has to be put away afterwards. */
  config?(): Promise<{ config: QueueConfig; ready(kernel: Kernel): void; dispose(): void }>
  /** Runs it and answers what came out. */
  run(kernel: Kernel, print: Print): Promise<unknown>
}
