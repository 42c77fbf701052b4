import type { IncomingMessage, ServerResponse } from 'node:http'

/** The parts of an event of h3 1 that are used. */
export interface DevelopmentEvent {
  _handled?: boolean
  node: { req: IncomingMessage; res: ServerResponse }
}

const UNAVAILABLE = 503

/**
 * Lets the development server respond to requests whose application goes away during a reload. Nitro 2 marks a request as
 * handled before it passes the request on. When that fails, h3 finds the mark and sends nothing, so the client would wait forever.
 */
export function unmarkFailures(event: DevelopmentEvent): void {
  const { res } = event.node
  let handled = event._handled
  Object.defineProperty(event, '_handled', {
    get: () => handled && (res.statusCode !== UNAVAILABLE || res.headersSent),
    set(value: boolean) {
      handled = value
    },
  })
}
