import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** A TCP passage to a server that can be shut: connections are cut and refused until it is opened again. */
export class Gate {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #open = false

  private constructor(target: { host: string; port: number }) {
    this.#server = createServer((inbound) => {
      if (!this.#open) {
        inbound.destroy()
        return
      }
      const outbound = connect(target)
      for (const socket of [inbound, outbound]) {
        this.#sockets.add(socket)
        socket.on('close', () => {
          this.#sockets.delete(socket)
          inbound.destroy()
          outbound.destroy()
        })
        // A cut connection reports an error on one side and a close on both; the close is what counts.
        socket.on('error', () => socket.destroy())
      }
      inbound.pipe(outbound)
      outbound.pipe(inbound)
    })
  }

  static async to(address: string): Promise<Gate> {
    const at = address.lastIndexOf(':')
    const gate = new Gate({ host: address.slice(0, at), port: Number(address.slice(at + 1)) })
    gate.#server.listen(0, '127.0.0.1')
    await once(gate.#server, 'listening')
    return gate
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  open(): void {
    this.#open = true
  }

  shut(): void {
    this.#open = false
    for (const socket of this.#sockets) socket.destroy()
  }

  async close(): Promise<void> {
    this.shut()
    this.#server.close()
    await once(this.#server, 'close')
  }
}
