import { connect } from 'node:net'

/** A request as it goes over the wire, with the status that it must be answered with. */
export type Call = { bytes: string; status: number }

export type Load = {
  requests: number
  seconds: number
  /** Milliseconds, sorted. */
  latencies: Float64Array
}

/** Renders a request for `load`. */
export function call(
  method: string,
  path: string,
  status: number,
  headers: Record<string, string>,
  body?: string,
): Call {
  const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  const length = body === undefined ? '' : `content-length: ${Buffer.byteLength(body)}\r\n`
  return {
    bytes: `${method} ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n${fields.join('')}${length}\r\n${body ?? ''}`,
    status,
  }
}

/**
 * Keeps a number of connections to this machine busy, one request after the other on each, for a time. Deliberately thin: what
 * the load generator does takes CPU from the servers that it measures.
 *
 * @param next makes the next request of a connection
 */
export async function load(
  { port, connections, seconds }: { port: number; connections: number; seconds: number },
  next: (connection: number) => Call,
): Promise<Load> {
  const latencies: number[] = []
  const start = performance.now()
  const end = start + seconds * 1000
  await Promise.all(
    Array.from(
      { length: connections },
      (_, connection) =>
        new Promise<void>((resolve, reject) => {
          const socket = connect({ host: '127.0.0.1', port, noDelay: true })
          let received = Buffer.alloc(0)
          let wanted = Number.POSITIVE_INFINITY
          let sent = 0
          let current: Call
          const send = () => {
            current = next(connection)
            sent = performance.now()
            socket.write(current.bytes)
          }
          socket.on('connect', send)
          socket.on('error', reject)
          socket.on('close', () => reject(new Error('the server closed a connection')))
          socket.on('data', (chunk) => {
            received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
            if (wanted === Number.POSITIVE_INFINITY) {
              const head = received.indexOf('\r\n\r\n')
              if (head < 0) return
              const header = received.toString('latin1', 0, head)
              const status = Number(header.slice(9, 12))
              wanted = head + 4 + Number(/\r\ncontent-length: (\d+)/i.exec(header)?.[1] ?? 0)
              if (status !== current.status) {
                reject(new Error(`${current.bytes.split('\r\n', 1)[0]} was answered with ${received.toString()}`))
                socket.removeAllListeners('close').destroy()
                return
              }
            }
            if (received.length < wanted) return
            received = Buffer.alloc(0)
            wanted = Number.POSITIVE_INFINITY
            const now = performance.now()
            latencies.push(now - sent)
            if (now < end) return send()
            socket.removeAllListeners('close').destroy()
            resolve()
          })
        }),
    ),
  )
  return {
    requests: latencies.length,
    seconds: (performance.now() - start) / 1000,
    latencies: Float64Array.from(latencies).sort(),
  }
}

export const quantile = (sorted: Float64Array, share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
