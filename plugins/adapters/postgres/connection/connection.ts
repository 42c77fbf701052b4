import type { PoolConfig } from 'pg'
import { QueueError } from '../../../../kernel/index.ts'

/** The parameters of a connection string that control encryption. */
const ENCRYPTION = ['sslmode', 'ssl', 'sslcert', 'sslkey', 'sslrootcert', 'uselibpqcompat']

/**
 * Returns the connection settings. It uses the configured connection string, or else `DATABASE_URL`. The encryption
 * settings of `pool` take precedence over those of the string.
 *
 * @throws QueueError `CONFIG_INVALID` if there is no connection string, or if it is malformed
 */
export function connectionOf(configured: string | undefined, pool: Record<string, unknown>): PoolConfig {
  const url = configured ?? process.env.DATABASE_URL
  const named = 'host' in pool || 'connectionString' in pool
  if (!url && !named) {
    const hint = 'Set DATABASE_URL, or postgres.url in the configuration.'
    throw new QueueError('CONFIG_INVALID', `No PostgreSQL connection string is configured. ${hint}`)
  }
  if (!url) return pool
  check(url, configured === undefined ? 'DATABASE_URL' : 'postgres.url')
  return { connectionString: 'ssl' in pool ? withoutEncryption(url) : url, ...pool }
}

/** Checks a connection string. The error never shows the string, because it contains a password. */
function check(url: string, name: string): void {
  // The path of a socket is valid as well.
  if (/^(?:\/|socket:)/.test(url) || (/^postgres(?:ql)?:\/\//.test(url) && URL.canParse(withHost(url)))) return
  const expected = 'Expected the form postgres://user:password@host:5432/database'
  const hint = 'Percent-encode special characters in user and password: # is %23, / is %2F, @ is %40.'
  throw new QueueError('CONFIG_INVALID', `${name} is not a valid connection string. ${expected}. ${hint}`)
}

/** Inserts a host if the URL has none, because the host may be a parameter or the default. */
function withHost(url: string): string {
  return url.replace(/@(?=\/|\?|$)/, '@localhost')
}

function withoutEncryption(url: string): string {
  const [address = url, query] = url.split('?')
  if (query === undefined) return url
  const parameters = new URLSearchParams(query)
  for (const name of ENCRYPTION) parameters.delete(name)
  return parameters.size === 0 ? address : `${address}?${parameters.toString()}`
}
