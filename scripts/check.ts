/** Runs every check of `npm run check`, two at a time. Prints the output of the failed checks, and fails if one of them failed. */
import { exec } from 'node:child_process'

/** The linter reads the types of the package where its users do. It also reports the errors of the compiler. */
const FIRST = 'tsc -p tsconfig.build.json --emitDeclarationOnly --noCheck'
/** Longest first. */
const STEPS = [
  'node --run lint',
  'node scripts/package-check.ts',
  'node --run lint:spelling',
  'node --run lint:python',
  'knip',
  'node scripts/reference.ts --check',
  'node scripts/blocks.ts',
  'oxfmt --check',
  'vitest run test/layout.test.ts',
]
const AT_ONCE = 2

function run(command: string): Promise<void> {
  return new Promise((resolve) => {
    exec(command, { maxBuffer: Infinity }, (error, stdout, stderr) => {
      if (error) {
        process.exitCode = 1
        process.stderr.write(`✖ ${command}\n${stdout}${stderr}\n`)
      }
      resolve()
    })
  })
}

async function runRest(steps: string[]): Promise<void> {
  for (let step = steps.shift(); step !== undefined; step = steps.shift()) await run(step)
}

await run(FIRST)
await Promise.all(Array.from({ length: AT_ONCE }, () => runRest(STEPS)))
