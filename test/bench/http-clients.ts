/**
 * Clients of event streams in a separate process: `node http-clients.ts <url> <count> [idle]`. Notifies its
 * parent when all are connected, and each time the last one has received an event. With `idle`, no client reads.
 */
import { connect, type Socket } from 'node:net'

const [address = '', count = '1', idle] = process.argv.slice(2)
const { hostname, port, pathname } = new URL(address)
const MARK = Buffer.from('"marked')
const total = Number(count)
const sockets: Socket[] = []
let open = 0
let heard = 0

for (let index = 0; index < total; index++) {
  const socket = connect(Number(port), hostname)
  socket.write(`GET ${pathname} HTTP/1.1\r\nhost: localhost\r\n\r\n`)
  socket.on('error', () => {})
  let connected = false
  socket.on('data', (chunk) => {
    if (!connected) {
      connected = true
      if (++open === total) process.send!('open')
      if (idle !== undefined) socket.pause()
    }
    for (let at = chunk.indexOf(MARK); at >= 0; at = chunk.indexOf(MARK, at + MARK.length)) {
      if (++heard % total === 0) process.send!('heard')
    }
  })
  sockets.push(socket)
}
process.on('disconnect', () => process.exit())
