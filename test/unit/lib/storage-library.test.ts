import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { TESTED_TABLES } from '../../../plugins/adapters/postgres/queue/boss.ts'
import { checkLibrary, isInCaret } from '../../../plugins/adapters/lib/storage-library.ts'

test.each([
  ['6.7.0', true],
  ['6.7.1', true],
  ['6.12.0', true],
  ['6.6.9', false],
  ['7.0.0', false],
  ['5.9.9', false],
  ['6.7.0-beta.1', true],
])('%s is in ^6.7.0: %s', (version, expected) => {
  expect(isInCaret(version, '^6.7.0')).toBe(expected)
})

test('the tests use the versions that the adapters expect', async () => {
  const reports: string[] = []
  for (const name of ['bullmq', 'pg-boss']) checkLibrary(name, { warn: (text) => reports.push(text), error: () => {} })
  expect(reports).toEqual([])
  const manifest = JSON.parse(await readFile('node_modules/pg-boss/package.json', 'utf8')) as {
    pgboss: { schema: number }
  }
  expect(manifest.pgboss.schema).toBe(TESTED_TABLES)
})
