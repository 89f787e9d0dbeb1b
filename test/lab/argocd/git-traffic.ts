/** What a Git server of the lab is asked: counts of requests and of bytes on the wire. */
import type { Socket } from "node:net";

/** Counts of a Git server. */
export interface GitTraffic {
  /** HTTP requests; over SSH connections. */
  readonly requests: number;
  /** TCP connections. */
  readonly connections: number;
  /** Bytes from clients, TLS and SSH included, TCP and below not. */
  readonly received: number;
  /** Bytes to clients. */
  readonly sent: number;
}

/** Counts connections while they live and after. */
export class Meter {
  /** Requests, counted by the server. */
  requests = 0;
  #connections = 0;
  #received = 0;
  #sent = 0;
  readonly #open = new Set<Socket>();

  /** Counts a connection from now on. */
  count(socket: Socket): void {
    this.#connections++;
    this.#open.add(socket);
    socket.once("close", () => {
      if (!this.#open.delete(socket)) return;
      this.#received += socket.bytesRead;
      this.#sent += socket.bytesWritten;
    });
  }

  /** The counts now. */
  traffic(): GitTraffic {
    let [received, sent] = [this.#received, this.#sent];
    for (const socket of this.#open) {
      received += socket.bytesRead;
      sent += socket.bytesWritten;
    }
    return { requests: this.requests, connections: this.#connections, received, sent };
  }

  /** Sets all to zero; connections that are open are not counted any more. */
  reset(): void {
    this.#open.clear();
    this.requests = this.#connections = this.#received = this.#sent = 0;
  }
}
