import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { besideArtifact, cachedArtifact } from "../../../components/artifacts/cache.ts";
import { temporaryDirectory } from "../cli/inventory.ts";
import { freePort } from "../cli/sshd.ts";

const BYTES = randomBytes(300_000);
const SHA256 = createHash("sha256").update(BYTES).digest("hex");

/** Serves the artifact and counts the requests. */
async function serve(context: TestContext, body: Buffer): Promise<{ url: string; requests: () => number }> {
  let requests = 0;
  const server = createServer((_, response) => {
    requests += 1;
    response.end(body);
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  context.after(() => server.close());
  return { url: `http://127.0.0.1:${port}/k3s`, requests: () => requests };
}

test("an artifact is downloaded once, and found in the cache from then on", async (context) => {
  const cache = join(temporaryDirectory(context), "cache");
  const origin = await serve(context, BYTES);
  for (let run = 0; run < 2; run++) {
    const { path } = await cachedArtifact(cache, { url: origin.url, sha256: SHA256 });
    assert.deepEqual(readFileSync(path), BYTES);
  }
  assert.equal(origin.requests(), 1);
});

test("a download with other bytes than the locked ones is refused and not kept", async (context) => {
  const cache = join(temporaryDirectory(context), "cache");
  const origin = await serve(context, Buffer.from("something else"));
  await assert.rejects(cachedArtifact(cache, { url: origin.url, sha256: SHA256 }), /has SHA-256 .*, locked is /);
  assert.deepEqual(readdirSync(cache), []);
});

test("a damaged file in the cache is downloaded again", async (context) => {
  const cache = join(temporaryDirectory(context), "cache");
  mkdirSync(cache);
  writeFileSync(join(cache, SHA256), "damaged");
  const origin = await serve(context, BYTES);
  const { path, size } = await cachedArtifact(cache, { url: origin.url, sha256: SHA256 });
  assert.deepEqual([readFileSync(path), size], [BYTES, BYTES.length]);
});

test("a file beside the lock file counts only with its locked bytes", async (context) => {
  const directory = temporaryDirectory(context);
  const file = { url: "assertions/x.assert", sha256: SHA256 };
  await assert.rejects(besideArtifact(directory, file), /x\.assert: is missing - restore it/);
  mkdirSync(join(directory, "assertions"));
  writeFileSync(join(directory, file.url), "other");
  await assert.rejects(besideArtifact(directory, file), /x\.assert: has SHA-256 .*, locked is /);
  writeFileSync(join(directory, file.url), BYTES);
  assert.equal((await besideArtifact(directory, file)).size, BYTES.length);
});
