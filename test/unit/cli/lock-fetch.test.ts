import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { digestsOf, fetchFile, rangeStart } from "../../../components/artifacts/fetch-file.ts";
import { download, open, redirectProblem } from "../../../components/artifacts/http.ts";
import { serve } from "./http-server.ts";
import { temporaryDirectory } from "./inventory.ts";

const BYTES = randomBytes(200_000);
const SHA256 = createHash("sha256").update(BYTES).digest("hex");
const BOUNDS = { timeoutMs: 10_000, attempts: 4, pauseMs: 1 };

/**
 * A server whose body breaks off after `cut` bytes of its first answer, once some have come to the target's part; it knows
 * ranges unless told otherwise.
 */
function flaky(context: TestContext, target: string, cut: number, ranges = true) {
  const breakOff = (response: ServerResponse): void => {
    const { size = 0 } = statSync(`${target}.part`, { throwIfNoEntry: false }) ?? {};
    if (size > 0 || response.destroyed) response.destroy();
    else setTimeout(breakOff, 5, response);
  };
  const asked: string[] = [];
  const answer = (request: IncomingMessage, response: ServerResponse, count: number): void => {
    asked.push(request.headers.range ?? "whole");
    const start = ranges ? Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0) : 0;
    const end = BYTES.length - 1;
    const headers = { "content-length": BYTES.length - start, etag: '"v1"' };
    if (start > 0) response.writeHead(206, { ...headers, "content-range": `bytes ${start}-${end}/${BYTES.length}` });
    else response.writeHead(200, headers);
    if (count > 1 || cut === 0) response.end(BYTES.subarray(start));
    else response.write(BYTES.subarray(start, cut), () => breakOff(response));
  };
  return serve(context, answer).then(({ url }) => ({ url, asked }));
}

test("a body that is cut off is resumed at its last byte", async (context) => {
  const target = join(temporaryDirectory(context), "deep", "file");
  const { url, asked } = await flaky(context, target, 50_000);
  const { sha256, size } = await fetchFile(url, target, { sha256: SHA256, bounds: BOUNDS });
  assert.deepEqual([sha256, size], [SHA256, BYTES.length]);
  assert.deepEqual(readFileSync(target), BYTES);
  assert.equal(asked.length, 2);
  assert.match(asked[1] ?? "", /^bytes=[1-9]\d*-$/);
});

test("a server that does not know ranges is asked for everything again", async (context) => {
  const target = join(temporaryDirectory(context), "file");
  const { url, asked } = await flaky(context, target, 50_000, false);
  await fetchFile(url, target, { sha256: SHA256, bounds: BOUNDS });
  assert.deepEqual(readFileSync(target), BYTES);
  assert.equal(asked.length, 2);
});

test("the part of an earlier run is resumed, and thrown away where it was of another file", async (context) => {
  const target = join(temporaryDirectory(context), "file");
  const { url, asked } = await flaky(context, target, 0);
  writeFileSync(`${target}.part`, BYTES.subarray(0, 1234));
  await fetchFile(url, target, { sha256: SHA256, bounds: BOUNDS });
  assert.deepEqual([readFileSync(target), asked], [BYTES, ["bytes=1234-"]]);
  writeFileSync(`${target}.part`, randomBytes(1234));
  await fetchFile(url, target, { sha256: SHA256, bounds: BOUNDS });
  assert.deepEqual([readFileSync(target), asked.slice(1)], [BYTES, ["bytes=1234-", "whole"]]);
});

test("a part that is whole already is not downloaded again", async (context) => {
  const target = join(temporaryDirectory(context), "file");
  writeFileSync(`${target}.part`, BYTES);
  await fetchFile("http://127.0.0.1:9/never-asked", target, { sha256: SHA256, bounds: BOUNDS });
  assert.deepEqual(readFileSync(target), BYTES);
});

test("a body that stays cut off is a failure that keeps the part", async (context) => {
  const directory = temporaryDirectory(context);
  const server = await serve(context, (_, response) => {
    response.writeHead(200, { "content-length": 100 }).write("x".repeat(10), () => response.destroy());
  });
  const bounds = { ...BOUNDS, attempts: 2 };
  await assert.rejects(fetchFile(server.url, join(directory, "file"), { sha256: SHA256, bounds }), {
    message: /broke off.*\(2 attempts\)/,
  });
  assert.deepEqual(readdirSync(directory), ["file.part"]);
});

test("other bytes than the locked ones leave nothing behind", async (context) => {
  const directory = temporaryDirectory(context);
  const server = await serve(context, (_, response) => response.end("other"));
  await assert.rejects(fetchFile(server.url, join(directory, "file"), { sha256: SHA256, bounds: BOUNDS }), {
    message: /has SHA-256 [0-9a-f]{64}, locked is /,
  });
  assert.deepEqual(readdirSync(directory), []);
});

test("a file that is longer than it can be is refused and removed", async (context) => {
  const directory = temporaryDirectory(context);
  const server = await serve(context, (_, response) => response.end("x".repeat(101)));
  await assert.rejects(fetchFile(server.url, join(directory, "file"), { maxBytes: 100, bounds: BOUNDS }), {
    message: /is longer than 100 bytes/,
  });
  assert.deepEqual(readdirSync(directory), []);
});

for (const [name, asked, status, range, expected] of [
  ["from the start", 0, 200, undefined, 0],
  ["the range that was asked for", 10, 206, "bytes 10-99/100", 10],
  ["everything instead of the range", 10, 200, undefined, 0],
  ["another range", 10, 206, "bytes 20-99/100", undefined],
  ["a range that it does not name", 10, 206, undefined, undefined],
  ["that the part is too long", 10, 416, "bytes */5", undefined],
] as const) {
  test(`the server answers with ${name}`, () => {
    const headers = new Headers(range === undefined ? {} : { "content-range": range });
    assert.equal(rangeStart({ status, headers }, asked), expected);
  });
}

test("digests of a file", async (context) => {
  const path = join(temporaryDirectory(context), "file");
  writeFileSync(path, "abc");
  assert.deepEqual(await digestsOf(path), {
    sha256: createHash("sha256").update("abc").digest("hex"),
    sha3_384: createHash("sha3-384").update("abc").digest("hex"),
    size: 3,
  });
});

const redirects: [from: string, to: string, plain: boolean, allowed: boolean][] = [
  ["https://a.example", "https://b.example", false, true],
  ["https://a.example", "http://a.example", false, false],
  ["https://a.example", "http://a.example", true, false],
  ["https://a.example", "http://127.0.0.1", true, false],
  ["http://127.0.0.1:1", "http://localhost:2", false, true],
  ["http://127.0.0.1:1", "http://a.example", false, false],
  ["http://mirror.example", "http://b.example", true, true],
  ["http://127.0.0.1:1", "file:///etc/passwd", true, false],
];

for (const [from, to, plain, allowed] of redirects)
  test(`a redirect from ${from} to ${to} is ${allowed ? "followed" : "refused"}${plain ? ", hash known" : ""}`, () =>
    assert.equal(redirectProblem(new URL(from), new URL(to), plain) === undefined, allowed));

test("a redirect to plain HTTP is not followed", async (context) => {
  const server = await serve(context, (_, response) =>
    response.writeHead(302, { location: "http://plain.example/file" }).end(),
  );
  await assert.rejects(download(server.url, 10, BOUNDS), { message: /redirects to plain HTTP, which proves nothing/ });
  assert.equal(server.requests.length, 1);
});

test("redirects without end are refused", async (context) => {
  const server = await serve(context, (_, response) => response.writeHead(302, { location: "/again" }).end());
  await assert.rejects(download(server.url, 10, BOUNDS), { message: /redirects more than 10 times/ });
});

test("an authorization does not follow a redirect to another host", async (context) => {
  const seen: (string | undefined)[] = [];
  const other = await serve(context, (request, response) => {
    seen.push(request.headers.authorization);
    response.end("x");
  });
  const first = await serve(context, (request, response) => {
    seen.push(request.headers.authorization);
    response.writeHead(307, { location: other.url }).end();
  });
  await open(first.url, { headers: { authorization: "Bearer t" } }, AbortSignal.timeout(5_000));
  assert.deepEqual(seen, ["Bearer t", undefined]);
});
