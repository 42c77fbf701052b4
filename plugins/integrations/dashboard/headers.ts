/** The content security policy: pages load only their own files and the API next to them. Markup or scripts in job data have no effect. */
const POLICY = [
  "default-src 'none'",
  ...["script-src 'self'", "style-src 'self'", "img-src 'self' data:", "connect-src 'self'"],
  ...["base-uri 'none'", "form-action 'none'", "require-trusted-types-for 'script'", 'trusted-types vue'],
]

/**
 * Returns the headers of a file.
 *
 * @param hashed whether the name of the file contains a hash of its content, so that it never changes
 * @param production whether framing is forbidden. In development, Nuxt DevTools shows the pages in a frame
 */
export function pageHeaders({ hashed, production }: { hashed: boolean; production: boolean }): Headers {
  const frames = production ? "'none'" : "'self'"
  return new Headers({
    'content-security-policy': [...POLICY, `frame-ancestors ${frames}`].join('; '),
    'x-frame-options': production ? 'DENY' : 'SAMEORIGIN',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'cache-control': hashed ? 'public, max-age=31536000, immutable' : 'no-cache',
    vary: 'accept-encoding',
  })
}
