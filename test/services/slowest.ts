import type { Reporter } from 'vitest/node'

const SHOWN = 10

/** Prints the slowest files at the end of a run. Prints nothing for a run of few files. */
export function slowestFiles(): Reporter {
  return {
    onTestRunEnd(modules) {
      if (modules.length <= SHOWN) return
      const files = modules.map((module) => {
        const { collectDuration, environmentSetupDuration, prepareDuration, setupDuration, duration } =
          module.diagnostic()
        const ms = collectDuration + environmentSetupDuration + prepareDuration + setupDuration + duration
        return { name: module.relativeModuleId, ms }
      })
      const slowest = files.toSorted((a, b) => b.ms - a.ms).slice(0, SHOWN)
      const lines = slowest.map(({ name, ms }) => `${(ms / 1000).toFixed(1).padStart(8)} s  ${name}`)
      process.stdout.write(`\nThe slowest of ${files.length} files:\n${lines.join('\n')}\n`)
    },
  }
}
