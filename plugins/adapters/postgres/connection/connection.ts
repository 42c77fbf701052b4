import type { PoolConfig } from 'pg'
import { QueueError } from '../../../../kernel/index.ts'

/** Parameters of a connection string that say how to encrypt. */
const ENCRYPTION = ['sslmode', 'ssl', 'sslcert', 'sslkey', 'sslrootcert', 'uselibpqcompat']

/**
 * Where to connect: what is configured, else `DATABASE_URL`. What `pool` says of encryption goes before the string.
 *
 * @throws QueueError `CONFIG_INVALID` when there is none, or when it is no connection string
 */
export function connectionOf(configured: string | undefined, pool: Record<string, unknown>): PoolConfig {
  const url = configured ?? process.env.DATABASE_URL
  const named = 'host' in pool || 'connectionString' in pool
  if (!url && !named) {
    const hint = 'Set DATABASE_URL, or postgres.url in the configuration.'
    throw new QueueError('CONFIG_INVALID', `There is no PostgreSQL to connect to. ${hint}`)
  }
  if (!url) return pool
  check(url, configured === undefined ? 'DATABASE_URL' : 'postgres.url')
  return { connectionString: 'ssl' in pool ? withoutEncryption(url) : url, ...pool }
}

/** Never shows the string: it holds a password. */
function check(url: string, name: string): void {
  // The path of a socket is one, too.
  if (/^(?:\/|socket:)/.test(url) || (/^postgres(?:ql)?:\/\//.test(url) && URL.canParse(hosted(url)))) return
  const expected = 'It is expected to be like postgres://user:password@host:5432/database'
  const hint = 'Percent-encode what is neither letter nor digit in user and password: # is %23, / is %2F, @ is %40.'
  throw new QueueError('CONFIG_INVALID', `${name} is no connection string. ${expected}. ${hint}`)
}

/** The host may be left out, or stand among the parameters. */
function hosted(url: string): string {
  return url.replace(/@(?=\/|\?|$)/, '@localhost')
}

function withoutEncryption(url: string): string {
  const [address = url, query] = url.split('?')
  if (query === undefined) return url
  const parameters = new URLSearchParams(query)
  for (const name of ENCRYPTION) parameters.delete(name)
  return parameters.size === 0 ? address : `${address}?${parameters.toString()}`
}
