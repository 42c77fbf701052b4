/** Makes sure that the tests find their services. Run before them. */
import { aptInstall, findBinary, mayInstall, requireBinary } from './binaries.ts'

const NEEDED = [
  { binary: 'redis-server', apt: 'redis-server', variable: 'REDIS_URL' },
  { binary: 'initdb', apt: 'postgresql', variable: 'DATABASE_URL' },
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
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`)
  process.exitCode = 1
}
