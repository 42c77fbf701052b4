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
   * Takes one from what the address of a request has left, before anybody knows who sent it. Returns what gives that
   * back, once it turns out to be welcome.
   *
   * @throws QueueError `RATE_LIMITED` where nothing is left
   */
  enter(request: Request): () => void
}

/** Bounds what strangers may cause: for each address a bucket of tokens that fills up again. */
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
      'A proxy passes requests on, and http.trustedProxies does not name it, so strangers are not limited by address'
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
        const message = 'Too many requests from this address were refused or are undecided. Try again later.'
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
