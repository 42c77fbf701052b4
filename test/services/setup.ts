/** Checks that the services for the tests are available. Runs before the tests. */
import { aptInstall, findBinary, mayInstall, requireBinary } from './binaries.ts'
import { pythonWithPytest } from './python.ts'

const NEEDED = [
  { binary: 'redis-server', apt: 'redis-server', variable: 'REDIS_URL' },
  { binary: 'initdb', apt: 'postgresql', variable: 'DATABASE_URL' },
  { binary: 'chromium', apt: 'chromium', variable: 'CHROMIUM_PATH' },
]

try {
  for (const { binary, apt, variable } of NEEDED) {
    if (process.env[variable] || findBinary(binary) !== undefined) continue
    if (mayInstall()) {
      process.stderr.write(`Installing ${apt} for the tests.\n`)
      aptInstall(apt)
    }
    requireBinary(binary)
  }
  if (pythonWithPytest() === undefined) {
    const hint = 'The tests need Python 3.9 or later with pytest. Install them: apt-get install python3-pytest'
    if (!mayInstall()) throw new Error(hint)
    process.stderr.write('Installing python3-pytest for the tests.\n')
    aptInstall('python3-pytest')
    if (pythonWithPytest() === undefined) throw new Error(hint)
  }
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`)
  process.exitCode = 1
}
