import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** A door in front of a server, to cut its clients off and let them back in. */
export interface TcpGate {
  /** The same URL, through the gate. */
  readonly url: string
  open(): void
  /** Breaks every connection and refuses new ones. */
  shut(): void
  /** Breaks the connection on which so many more chunks have come from one side; the last of them does not arrive. */
  cutAfter(chunks: number, from?: Side): void
  close(): Promise<void>
}

type Side = 'client' | 'server'

/** Puts a gate before the server of a URL; it starts shut. */
export async function createTcpGate(target: string): Promise<TcpGate> {
  const { hostname, port } = new URL(target)
  const sockets = new Set<Socket>()
  let isOpen = false
  const track = (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
  }
  const server = createServer((client) => {
    track(client)
    if (!isOpen) {
      client.destroy()
      return
    }
    const upstream = connect(Number(port), hostname)
    track(upstream)
    relay('client', client, upstream)
    relay('server', upstream, client)
  })
  let cutting: { from: Side; chunks: number } | undefined
  const relay = (from: Side, source: Socket, target: Socket) => {
    source.on('data', (chunk) => {
      if (cutting?.from === from && --cutting.chunks < 1) {
        cutting = undefined
        source.destroy()
      } else target.write(chunk)
    })
    source.on('end', () => target.end()).on('close', () => target.destroy())
  }
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = Object.assign(new URL(target), {
    hostname: '127.0.0.1',
    port: String((server.address() as AddressInfo).port),
  }).href
  return {
    url,
    open() {
      isOpen = true
    },
    shut() {
      isOpen = false
      cut()
    },
    cutAfter(chunks, from = 'client') {
      cutting = { from, chunks }
    },
    async close() {
      cut()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
