import assert from "node:assert/strict";
import { createServer, type Server, type Socket } from "node:net";
import { after, test } from "node:test";
import { probeDevices } from "../../../components/device/reachability.ts";

const servers: Server[] = [];
const sockets = new Set<Socket>();

async function listen(onConnection: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    onConnection(socket);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

after(() => {
  for (const socket of sockets) socket.destroy();
  for (const server of servers) server.close();
});

async function probe(port: number, timeoutMs = 300) {
  const target = { id: "a", host: "127.0.0.1", port, proxy: undefined };
  return (await probeDevices([target], { timeoutMs })).get("a");
}

test("an SSH banner is reachable, also after lines that precede it", async () => {
  const plain = await listen((socket) => socket.write("SSH-2.0-OpenSSH_9.2\r\n"));
  const late = await listen((socket) => socket.write("welcome\r\nSSH-2.0-OpenSSH_9.2\r\n"));
  assert.deepEqual([await probe(plain), await probe(late)], [{ reachable: true }, { reachable: true }]);
});

test("a host that accepts and stays silent is not reachable", async () => {
  const port = await listen(() => {});
  assert.deepEqual(await probe(port), { reachable: false, reason: "accepts connections but sends no SSH banner" });
});

test("a closed port says that no SSH server listens", async () => {
  const port = await listen(() => {});
  await new Promise((resolve) => servers.pop()?.close(resolve));
  assert.deepEqual(await probe(port), { reachable: false, reason: "refuses the connection: no SSH server listens" });
});

test("a server of another protocol, and one that hangs up, are told apart", async () => {
  const http = await listen((socket) => socket.write(`HTTP/1.1 400 Bad Request\r\n${"x".repeat(9000)}`));
  const closing = await listen((socket) => socket.end());
  assert.deepEqual(await probe(http), { reachable: false, reason: "something other than an SSH server answers" });
  assert.deepEqual(await probe(closing), { reachable: false, reason: "closes the connection without an SSH banner" });
});

test("a name that does not resolve is that device's reason and nobody else's", async () => {
  const port = await listen((socket) => socket.write("SSH-2.0-x\r\n"));
  const targets = [
    { id: "a", host: "no-such-host.invalid", port: 22, proxy: undefined },
    { id: "b", host: "127.0.0.1", port, proxy: undefined },
  ];
  const results = await probeDevices(targets, { timeoutMs: 3000 });
  assert.match(JSON.stringify(results.get("a")), /its name does not resolve/);
  assert.deepEqual(results.get("b"), { reachable: true });
});

test("silent hosts are waited for side by side, within the bound", async () => {
  const mostAtOnce = async (concurrency: number) => {
    let open = 0;
    let most = 0;
    const port = await listen((socket) => {
      most = Math.max(most, ++open);
      socket.once("close", () => open--);
    });
    const target = (index: number) => ({ id: `d-${index}`, host: "127.0.0.1", port, proxy: undefined });
    const results = await probeDevices(
      Array.from({ length: 20 }, (_, index) => target(index)),
      {
        timeoutMs: 200,
        concurrency,
      },
    );
    assert.equal(results.size, 20);
    return most;
  };
  assert.equal(await mostAtOnce(20), 20);
  assert.ok((await mostAtOnce(2)) < 10);
});
