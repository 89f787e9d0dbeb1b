import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";
import { contentLength, download } from "../../../components/artifacts/http.ts";
import { serve } from "./http-server.ts";

const QUICK = { timeoutMs: 5_000, attempts: 3, pauseMs: 1 };

test("a server's fault is tried again a few times, and then said", async (context) => {
  const healing = await serve(context, (_, response, count) => response.writeHead(count < 3 ? 503 : 200).end("x"));
  assert.equal(String(await download(healing.url, 10, QUICK)), "x");
  const broken = await serve(context, (_, response) => response.writeHead(500).end());
  await assert.rejects(download(broken.url, 10, QUICK), { message: /: HTTP 500 - the server is at fault.*3 attempts/ });
  assert.equal(broken.requests.length, 3);
});

test("a file that is not there is asked for once", async (context) => {
  const server = await serve(context, (_, response) => response.writeHead(404).end());
  await assert.rejects(download(server.url, 10, QUICK), { message: /HTTP 404 - no such release or file there/ });
  await assert.rejects(contentLength(server.url, QUICK), { message: /HTTP 404/ });
  assert.equal(server.requests.length, 2);
});

test("a server that accepts and stays silent costs the deadline and no more", async (context) => {
  const server = await serve(context, () => {});
  const started = performance.now();
  const bounds = { timeoutMs: 100, attempts: 2, pauseMs: 1 };
  await assert.rejects(download(server.url, 10, bounds), { message: /no answer within 0\.1 s.*2 attempts/ });
  assert.ok(performance.now() - started < 5_000);
});

test("a download that stalls half way ends as well", async (context) => {
  const server = await serve(context, (_, response) => response.writeHead(200, { "content-length": 10 }).write("x"));
  const bounds = { timeoutMs: 100, attempts: 1, pauseMs: 1 };
  await assert.rejects(download(server.url, 10, bounds), { message: /broke off within 0\.1 s/ });
});

test("a body longer than it can be is refused", async (context) => {
  const server = await serve(context, (_, response) => response.end("x".repeat(11)));
  await assert.rejects(download(server.url, 10, QUICK), { message: /is longer than 10 bytes/ });
});

test("a server that refuses connections is named with the reason", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  server.close();
  await once(server, "close");
  await assert.rejects(download(`http://127.0.0.1:${address.port}`, 10, QUICK), {
    message: /: no answer: .*ECONNREFUSED.*use a mirror.*3 attempts/,
  });
});

test("a server that does not tell a size is no failure", async (context) => {
  const forbidden = await serve(context, (_, response) => response.writeHead(405).end());
  assert.equal(await contentLength(forbidden.url, QUICK), undefined);
  const encoded = await serve(context, (_, response) =>
    response.writeHead(200, { "content-length": 5, "content-encoding": "gzip" }).end(),
  );
  assert.equal(await contentLength(encoded.url, QUICK), undefined);
});
