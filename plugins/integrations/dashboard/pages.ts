import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { join } from 'pathe'
import type { Kernel } from '../../../kernel/index.ts'
import { codeFile, packageFile } from '../../lib/package-files.ts'
import { pageHeaders } from './headers.ts'

export type Pages = Parameters<Kernel['http']['mount']>[1]

/** The folder of the built application. */
const FOLDER = 'plugins/integrations/dashboard/ui'
const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
  md: 'text/plain; charset=utf-8',
}

interface File {
  type: string
  etag: string
  plain: Buffer
  gzip: Buffer
}

/**
 * Returns the function that serves the files of the application. The build writes the list of the files, and no other file is ever read.
 */
export async function createPages(): Promise<Pages> {
  const folder = [codeFile(FOLDER), packageFile(join('dist', FOLDER))].find((one) => existsSync(one))
  const names = folder === undefined ? [] : (JSON.parse(await readFile(join(folder, 'files.json'), 'utf8')) as string[])
  const files = new Map<string, Promise<File>>()

  async function open(name: string): Promise<File | undefined> {
    if (!names.includes(name)) return undefined
    const loading = files.get(name) ?? load(join(folder!, name))
    files.set(name, loading)
    return loading
  }

  return async ({ request, path, production }) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return new Response(null, { status: 405, headers: { allow: 'GET, HEAD' } })
    }
    // The address is relative, because a proxy may have removed the beginning of the path.
    if (path === undefined) return new Response(null, { status: 308, headers: { location: 'ui/' } })
    const name = path === '' ? 'index.html' : path
    const file = await open(name)
    const headers = pageHeaders({ hashed: file !== undefined && name !== 'index.html', production })
    if (!file) return new Response('There is no such page.', { status: 404, headers })
    headers.set('etag', file.etag)
    if (request.headers.get('if-none-match') === file.etag) return new Response(null, { status: 304, headers })
    const compressed = /\bgzip\b/.test(request.headers.get('accept-encoding') ?? '')
    const body = compressed ? file.gzip : file.plain
    if (compressed) headers.set('content-encoding', 'gzip')
    headers.set('content-type', file.type)
    headers.set('content-length', String(body.length))
    return new Response(request.method === 'HEAD' ? null : new Uint8Array(body), { headers })
  }
}

/** The build stores the files compressed, because nearly all browsers take them like that. */
async function load(path: string): Promise<File> {
  const gzip = await readFile(`${path}.gz`)
  const plain = await promisify(gunzip)(gzip)
  const digest = createHash('sha256').update(plain).digest('base64url').slice(0, 22)
  const type = TYPES[path.slice(path.lastIndexOf('.') + 1)] ?? 'application/octet-stream'
  return { type, etag: `"${digest}"`, plain, gzip }
}
