import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** The slowest files start first. Within a folder, the order follows the durations of the last run. */
const FIRST = ['/test/e2e/nuxt/', '/test/conformance/', '/test/e2e/']

/**
 * The order of the test files. Builds keep processors busy while conformance tests mostly wait, so that both are
 * begun in turns. Short files come last and fill the gaps.
 */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const groups: TestSpecification[][] = [[], [], [], []]
    // oxlint-disable-next-line unicorn/no-array-sort -- this sorter is no array
    for (const file of await super.sort(files)) {
      const at = FIRST.findIndex((folder) => file.moduleId.includes(folder))
      groups.at(at)!.push(file)
    }
    const [builds, waits, ...others] = groups as [TestSpecification[], TestSpecification[], ...TestSpecification[][]]
    const inTurns = waits.flatMap((file, index) => [...builds.slice(index, index + 1), file])
    return [...inTurns, ...builds.slice(waits.length), ...others.flat()]
  }
}
