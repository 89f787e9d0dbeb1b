/** A server of the lab that goes away and comes back at the same address, as one that a device cannot reach for a while. */
import { once } from "node:events";
import type { AddressInfo, Server } from "node:net";

/** A server that listens, or not. */
export interface Listener {
  readonly port: number;
  /** Refuses connections from now on, and ends those that are open. */
  stop(): Promise<void>;
  /** Listens again, at the same address. */
  start(): Promise<void>;
}

/**
 * Starts one.
 * @param make makes a server that does not listen yet
 * @param end ends its open connections
 */
export async function listenOn<S extends Server>(
  address: string,
  make: () => S,
  end: (server: S) => void,
): Promise<Listener> {
  const listen = async (port: number): Promise<S> => {
    const server = make();
    server.listen(port, address);
    await once(server, "listening");
    return server;
  };
  let server = await listen(0);
  const { port } = server.address() as AddressInfo;
  return {
    port,
    stop: async () => {
      if (!server.listening) return;
      const closed = once(server, "close");
      server.close();
      end(server);
      await closed;
    },
    start: async () => {
      if (!server.listening) server = await listen(port);
    },
  };
}
