import { spawnSync } from 'node:child_process'

/** The interpreter that has pytest: that of the PATH, or the system's, for which there is a package. */
export function pythonWithPytest(): string | undefined {
  return ['python3', '/usr/bin/python3'].find(
    (python) => spawnSync(python, ['-m', 'pytest', '--version'], { stdio: 'ignore' }).status === 0,
  )
}
