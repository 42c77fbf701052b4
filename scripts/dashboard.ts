/** Builds the pages of the dashboard into the build of the package, compresses them, and writes the list of their files. */
import { globSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import vue from '@vitejs/plugin-vue'
import { join } from 'pathe'
import { build } from 'vite'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const OUTPUT = join(ROOT, 'dist/plugins/integrations/dashboard/ui')

await build({
  root: join(ROOT, 'plugins/integrations/dashboard/app'),
  configFile: false,
  // The pages work below any path.
  base: './',
  logLevel: 'warn',
  plugins: [vue()],
  define: { __VUE_OPTIONS_API__: 'false', __VUE_PROD_DEVTOOLS__: 'false' },
  build: {
    outDir: OUTPUT,
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: { polyfill: false },
    // The policy of the pages allows no data in scripts, styles and fonts.
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    // The licenses of the libraries in the pages are shipped with them.
    license: { fileName: 'licenses.md' },
  },
})

const files = globSync('**/*.*', { cwd: OUTPUT })
for (const file of files) {
  const path = join(OUTPUT, file)
  writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }))
  // The licenses of the libraries have to be readable in the package.
  if (!file.endsWith('.md')) rmSync(path)
}
writeFileSync(join(OUTPUT, 'files.json'), `${JSON.stringify(files.toSorted())}\n`)
