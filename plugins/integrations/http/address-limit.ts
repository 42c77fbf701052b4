import { QueueError, type Kernel } from '../../../kernel/index.ts'
import { createClientAddress } from '../lib/client-address.ts'
import type { HttpOptions } from './options.ts'

/** How many addresses are tracked at once. Beyond that, the least recently seen ones are forgotten. */
const MAX_ADDRESSES = 10_000

interface Bucket {
  left: number
  at: number
}

export interface AddressLimit {
  /**
   * Takes one token from the bucket of the address before the request is authorized. Returns a function that puts the
   * token back once the request is allowed.
   *
   * @throws QueueError `RATE_LIMITED` if the bucket is empty
   */
  enter(request: Request): () => void
}

/** Limits requests that are not authorized, with a token bucket for each address. */
export function createAddressLimit(
  { clock, reporter }: Pick<Kernel, 'clock' | 'reporter'>,
  { addressLimit, trustedProxies }: Pick<HttpOptions, 'addressLimit' | 'trustedProxies'>,
): AddressLimit {
  const buckets = new Map<string, Bucket>()
  let warned = false
  const addressOf = createClientAddress(trustedProxies, () => {
    if (warned || addressLimit === false) return
    warned = true
    const what =
      'Requests come through a proxy that http.trustedProxies does not name, so requests are not limited by address'
    reporter.warn(
      `${what}. Set http.trustedProxies: ['private'], or http.addressLimit: false if the proxy limits them.`,
    )
  })
  const nothing = (): void => {}

  return {
    enter(request) {
      if (addressLimit === false) return nothing
      const address = addressOf(request)
      if (address === undefined) return nothing
      const { burst, perSecond } = addressLimit
      const now = clock.now()
      const { left, at } = buckets.get(address) ?? { left: burst, at: now }
      const bucket = { left: Math.min(burst, left + (Math.max(0, now - at) * perSecond) / 1000), at: now }
      buckets.delete(address)
      buckets.set(address, bucket)
      if (buckets.size > MAX_ADDRESSES) buckets.delete(buckets.keys().next().value!)
      if (bucket.left < 1) {
        const retryAfter = Math.ceil(((1 - bucket.left) * 1000) / perSecond)
        const message = 'Too many requests from this address were refused or are not decided yet. Try again later.'
        throw new QueueError('RATE_LIMITED', message, { details: { retryAfter } })
      }
      bucket.left--
      return () => {
        const present = buckets.get(address)
        if (present) present.left = Math.min(burst, present.left + 1)
      }
    },
  }
}
