import { randomInt } from 'node:crypto'
import { createServer, type Server } from 'node:net'

/**
 * Ports on 127.0.0.1 that were free a moment ago, all different. `wanted` are tried first (a server keeps its
 * address over restarts when nobody took it), else the system chooses.
 */
export async function freePorts(count: number, wanted: readonly number[] = []): Promise<number[]> {
  const held: Server[] = []
  const ports: number[] = []
  try {
    for (let index = 0; index < count; index++) {
      const server = (await listen(wanted[index] ?? 0)) ?? (await listen(0))
      if (server === null) throw new Error('no free port on 127.0.0.1')
      held.push(server)
      ports.push(portOf(server))
    }
    return ports
  } finally {
    await Promise.all(held.map(close))
  }
}

/**
 * Below the ports that systems choose for outgoing connections: those can be taken between this answer and its use, a server
 * that is dead for a while must find its port free again, and whoever tries to reach a dead one from such a port may end up
 * connected with himself.
 */
const lowestPort = 18_000
const highestPort = 32_000

/** Ports to keep for a while: free at the moment, all different, and none that an outgoing connection could be given. */
export function lastingPorts(count: number): Promise<number[]> {
  const wanted = new Set<number>()
  while (wanted.size < count) wanted.add(randomInt(lowestPort, highestPort))
  return freePorts(count, [...wanted])
}

/** Listens, or null when the port is taken. */
function listen(port: number): Promise<Server | null> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(null)
      else reject(error)
    })
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => resolve(server))
  })
}

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a listening server has no port')
  return address.port
}

const close = (server: Server): Promise<void> => new Promise((resolve) => server.close(() => resolve()))
