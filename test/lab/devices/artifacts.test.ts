import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { parseRange, startArtifactServer } from "./artifacts.ts";

const directory = mkdtempSync(join(tmpdir(), "edge-fleet-artifacts-"));
const CONTENT = Buffer.from(Array.from({ length: 200_000 }, (_, index) => index % 251));
writeFileSync(join(directory, "binary"), CONTENT);
writeFileSync(join(directory, "empty"), "");
const server = await startArtifactServer({ directory });
after(async () => {
  await server.stop();
  rmSync(directory, { recursive: true });
});

for (const [header, expected] of [
  [undefined, "whole"],
  ["bytes=0-9", { first: 0, last: 9 }],
  ["bytes=90-", { first: 90, last: 99 }],
  ["bytes=90-500", { first: 90, last: 99 }],
  ["bytes=-10", { first: 90, last: 99 }],
  ["bytes=-500", { first: 0, last: 99 }],
  ["bytes=100-", "unsatisfiable"],
  ["bytes=9-3", "whole"],
  ["bytes=0-1,5-6", "whole"],
  ["lines=0-1", "whole"],
] as const) {
  test(`range ${header ?? "absent"} of 100 bytes`, () => assert.deepEqual(parseRange(header, 100), expected));
}

async function body(path: string, headers: Record<string, string> = {}): Promise<{ status: number; bytes: Buffer }> {
  const response = await fetch(`${server.url}${path}`, { headers });
  return { status: response.status, bytes: Buffer.from(await response.arrayBuffer()) };
}

test("a file arrives whole and is logged with its bytes", async () => {
  const { status, bytes } = await body("/binary");
  assert.equal(status, 200);
  assert.ok(bytes.equals(CONTENT));
  assert.deepEqual(server.requests().at(-1), { path: "/binary", bytes: CONTENT.length });
});

test("a transfer that broke off is completed with a range request", async () => {
  server.truncateNext("/binary");
  await assert.rejects(body("/binary"), "the broken transfer must not look complete");
  assert.equal(server.requests().at(-1)?.bytes, CONTENT.length / 2);
  const rest = await body("/binary", { Range: `bytes=${CONTENT.length / 2}-` });
  assert.equal(rest.status, 206);
  assert.ok(rest.bytes.equals(CONTENT.subarray(CONTENT.length / 2)));
  assert.equal((await body("/binary")).bytes.length, CONTENT.length, "only one transfer breaks");
});

test("an empty file, a missing one, a folder and a range past the end have their own answers", async () => {
  assert.deepEqual(await body("/empty"), { status: 200, bytes: Buffer.alloc(0) });
  assert.equal((await body("/missing")).status, 404);
  assert.equal((await body("/")).status, 404);
  assert.equal((await body("/binary", { Range: "bytes=200000-" })).status, 416);
});

for (const path of ["/../../etc/hostname", "/..%2f..%2f..%2fetc%2fhostname", "/%2e%2e/%2e%2e/etc/hostname"]) {
  test(`nothing outside the folder is served for ${path}`, async () => {
    const { hostname, port } = new URL(server.url);
    const socket = connect(Number(port), hostname);
    socket.end(`GET ${path} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n`);
    let answer = "";
    for await (const chunk of socket) answer += chunk;
    assert.match(answer, /^HTTP\/1.1 404 /);
  });
}

test("a limit on the bandwidth slows a transfer down and can be lifted", async () => {
  server.setBandwidth(400_000);
  const slow = performance.now();
  await body("/binary");
  assert.ok(performance.now() - slow >= 400, "200 kB at 400 kB/s take half a second");
  server.setBandwidth(undefined);
  const fast = performance.now();
  await body("/binary");
  assert.ok(performance.now() - fast < 400);
});
