import { expect, it } from 'vitest'
import { options } from '../../../plugins/integrations/http/routes/job-options.ts'
import { JOB_OPTIONS } from '../../../plugins/jobs/job-options/rules.ts'

it('HTTP callers may set every job option of this package', () => {
  expect(Object.keys(options.shape).toSorted()).toEqual(JOB_OPTIONS.toSorted())
})
