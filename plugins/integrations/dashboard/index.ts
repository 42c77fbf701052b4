import { definePlugin } from '../../../kernel/index.ts'
import type { Pages } from './pages.ts'

/** Serves the dashboard at `<path>ui/`. Its files are loaded with the first request. */
export default definePlugin({
  name: 'dashboard',
  requires: ['http'],
  setup(kernel) {
    let loading: Promise<Pages> | undefined
    kernel.http.mount('ui', async (visit) => {
      const pages = await (loading ??= import('./pages.ts').then(({ createPages }) => createPages()))
      return pages(visit)
    })
  },
})
