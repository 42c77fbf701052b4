import { readFile } from 'node:fs/promises'
import { join } from 'pathe'
import { expect, test } from 'vitest'
import { sectionOf, withSection } from '../../../scripts/changelog.ts'
import { VERSIONS } from '../../../scripts/version.ts'

const ROOT = join(import.meta.dirname, '../../..')
const read = (file: string): Promise<string> => readFile(join(ROOT, file), 'utf8')

test('a section of the changelog groups the changes that users notice, and replaces an earlier section', () => {
  const section = sectionOf('1.1.0', '2026-11-30', [
    'feat: add a button, because there was none; and let it blink',
    'test: hold the button',
    'fix(http): answer',
    'feat!: rename the button',
    'fix(http): answer',
    'Merge branch',
  ])
  const expected = [
    '## 1.1.0 (2026-11-30)',
    '### Breaking',
    '- Rename the button.',
    '### New',
    '- Add a button.',
    '- Let it blink.',
    '### Fixed',
    '- Answer.',
  ]
  expect(section.split('\n').filter((line) => line !== '')).toEqual(expected)
  const older = '## 1.0.0 (2026-01-01)\n\nNothing that users notice.\n'
  const once = withSection(withSection('', older), section)
  expect(once.match(/^## .*/gm)).toEqual(['## 1.1.0 (2026-11-30)', '## 1.0.0 (2026-01-01)'])
  expect(withSection(once, section)).toBe(once)
})

test('the Python SDK has the version of the package', async () => {
  const { version } = JSON.parse(await read('package.json')) as { version: string }
  for (const [file, line] of VERSIONS) expect([file, line.exec(await read(file))?.[1]]).toEqual([file, version])
})
