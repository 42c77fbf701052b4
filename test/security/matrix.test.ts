import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { ACTIONS } from '../../plugins/integrations/http/access.ts'
import { routes } from '../../plugins/integrations/http/routes/index.ts'
import { matrix, MOUNTED, PAGE, withMatrix } from '../../scripts/matrix.ts'

it('the table of who may do what is that of the routes: run "node scripts/matrix.ts"', async () => {
  const page = readFileSync(PAGE, 'utf8')
  const table = await matrix()
  expect(withMatrix(page, table)).toBe(page)
  for (const action of ACTIONS)
    expect([action, action in MOUNTED || routes.some((route) => route.action === action)]).toEqual([action, true])
  expect(table).toMatch(/`jobs\.enqueue` \| `POST jobs` \| yes \| 403 \| 404 \| 401 \| 403 \| 403 \| yes \|/)
  expect(table).toMatch(
    /`metrics\.read` \| `GET \/_queue\/metrics` \| yes \| 403 \| 404 \| 401 \| yes \| yes \| yes \|/,
  )
})
