import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Within a folder, the order follows the durations of the last run, or the sizes of the files. */
const FOLDERS = ['/test/e2e/nuxt/', '/test/conformance/', '/test/e2e/']

/** Files that are short but take long. */
const SLOW = [
  '/test/e2e/python-sdk.test.ts',
  '/test/install/quickstarts.test.ts',
  '/test/unit/lib/child-process/protocol-child.test.ts',
  '/test/unit/plugins/schedule-week.test.ts',
  '/test/property/worker-protocol.test.ts',
]

/**
 * The order of the test files: the slowest files start first. Builds keep processors busy while conformance tests mostly wait, so that
 * both are started alternately. The first build installs the packages that the other builds need. Short files come last and fill the gaps.
 */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    // oxlint-disable-next-line unicorn/no-array-sort -- this sorter is no array
    const sorted = await super.sort(files)
    const groupOf = ({ moduleId }: TestSpecification): string =>
      SLOW.some((name) => moduleId.endsWith(name)) ? 'slow' : (FOLDERS.find((one) => moduleId.includes(one)) ?? 'other')
    const groups = Map.groupBy(sorted, groupOf)
    const [builds = [], waits = [], others = []] = FOLDERS.map((folder) => groups.get(folder))
    const inTurns = waits.flatMap((file, index) => (index === 0 ? [file] : [file, ...builds.slice(index, index + 1)]))
    const more = [...builds.slice(Math.max(1, waits.length)), ...(groups.get('slow') ?? []), ...others]
    return [...builds.slice(0, 1), ...inTurns, ...more, ...(groups.get('other') ?? [])]
  }
}
