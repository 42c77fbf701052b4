import { execFileSync, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { pythonWithPytest } from '../services/python.ts'
import { archive } from './nuxt/workspace.ts'
import { ROOT } from './processes.ts'

test('the tests of the Python SDK pass', () => {
  const args = ['-m', 'pytest', '-q', '-p', 'no:cacheprovider', join(ROOT, 'python-sdk/tests')]
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: '1' }
  const { status, stdout, stderr } = spawnSync(pythonWithPytest()!, args, { encoding: 'utf8', env })
  expect(status, stdout + stderr).toBe(0)
  expect(stdout).toMatch(/\d+ passed/)
})

test('the package contains the SDK and no caches of Python', async () => {
  const listed = execFileSync('tar', ['-tzf', await archive()], { encoding: 'utf8' })
  const files = listed.split('\n').map((path) => path.replace(/^package\//, ''))
  expect(files).toContain('python-sdk/src/nuxt_queue/_serve.py')
  expect(files).toContain('python-sdk/src/nuxt_queue/py.typed')
  expect(files).toContain('dist/plugins/runtimes/isolated/child.js')
  expect(files.filter((path) => /\.pyc$|__pycache__/.test(path))).toEqual([])
})
