import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { findUnpinned, imagesBlock, imagesOf, suggestDigests } from "../../../cli/lock/images.ts";
import { parseChallenge, parseImage, Registry } from "../../../cli/lock/registry.ts";
import { edgeFleet } from "./command.ts";
import { serve } from "./http-server.ts";
import { temporaryDirectory } from "./inventory.ts";

const DIGEST = `sha256:${"d".repeat(64)}`;
const BOUNDS = { timeoutMs: 5_000, attempts: 2, pauseMs: 1 };

for (const [reference, registry, repository, name, tag] of [
  ["nginx", "docker.io", "library/nginx", "nginx", "latest"],
  ["nginx:1.27", "docker.io", "library/nginx", "nginx", "1.27"],
  ["grafana/grafana:12.0", "docker.io", "grafana/grafana", "grafana/grafana", "12.0"],
  ["ghcr.io/a/b/c:v1", "ghcr.io", "a/b/c", "ghcr.io/a/b/c", "v1"],
  ["localhost:5000/web", "localhost:5000", "web", "localhost:5000/web", "latest"],
  [`quay.io/a/b:v1@${DIGEST}`, "quay.io", "a/b", "quay.io/a/b", "v1"],
] as const) {
  test(`the image ${reference.slice(0, 40)} is ${tag} of ${repository} at ${registry}`, () => {
    const image = parseImage(reference);
    assert.deepEqual([image.registry, image.repository, image.name, image.tag], [registry, repository, name, tag]);
    assert.equal(image.digest, reference.includes("@") ? DIGEST : undefined);
  });
}

for (const reference of [
  "",
  "UPPER/case",
  "a b",
  "../etc:x",
  "a/../b",
  "image@sha256:12",
  "$" + "{IMAGE}",
  "http://x/y",
])
  test(`${JSON.stringify(reference)} is no image`, () =>
    assert.throws(() => parseImage(reference), /is no reference - write <registry>\/<name>:<tag>/));

test("a registry that tells the digest is asked for no more", async (context) => {
  const server = await serve(context, (request, response) => {
    assert.match(request.headers.accept ?? "", /image\.index/);
    response.writeHead(200, { "docker-content-digest": DIGEST }).end();
  });
  const image = parseImage(`${new URL(server.url).host}/team/web:v1`);
  assert.equal(await new Registry(image, BOUNDS).digest(), DIGEST);
  assert.deepEqual(server.requests, ["HEAD /v2/team/web/manifests/v1"]);
});

test("a registry that does not is asked for the manifest, which is hashed", async (context) => {
  const server = await serve(context, (request, response) => response.end(request.method === "GET" ? "{}" : ""));
  const image = parseImage(`${new URL(server.url).host}/web:v1`);
  const hash = createHash("sha256").update("{}").digest("hex");
  assert.equal(await new Registry(image, BOUNDS).digest(), `sha256:${hash}`);
});

test("an anonymous token is fetched where the registry wants one", async (context) => {
  const server = await serve(context, (request, response) => {
    if (request.url?.startsWith("/token")) response.end(JSON.stringify({ token: "abc" }));
    else if (request.headers.authorization === "Bearer abc")
      response.writeHead(200, { "docker-content-digest": DIGEST }).end();
    else {
      const realm = `http://${request.headers.host}/token`;
      response.writeHead(401, { "www-authenticate": `Bearer realm="${realm}",service="reg"` }).end();
    }
  });
  const image = parseImage(`${new URL(server.url).host}/web:v1`);
  assert.equal(await new Registry(image, BOUNDS).digest(), DIGEST);
  assert.equal(server.requests[1], "GET /token?service=reg&scope=repository%3Aweb%3Apull");
});

for (const [name, status, headers, message] of [
  ["a log-in that is not a token", 401, { "www-authenticate": 'Basic realm="x"' }, /asks for a log-in/],
  ["a token over plain HTTP", 401, { "www-authenticate": 'Bearer realm="http://a.example/t"' }, /token over https/],
  ["no such tag", 404, {}, /no such image or tag/],
  ["a forbidden image", 403, {}, /asks for a log-in - pin the digest by hand/],
] as const) {
  test(`${name} is said`, async (context) => {
    const server = await serve(context, (_, response) => response.writeHead(status, headers).end());
    const image = parseImage(`${new URL(server.url).host}/web:v1`);
    await assert.rejects(new Registry(image, BOUNDS).digest(), { message });
  });
}

test("a challenge is read", () => {
  const header = 'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull"';
  assert.deepEqual(Object.fromEntries(parseChallenge(header)), {
    realm: "https://auth.docker.io/token",
    service: "registry.docker.io",
    scope: "repository:a/b:pull",
  });
  assert.equal(parseChallenge('Basic realm="x"').size, 0);
});

test("images are found in containers of any kind, and nowhere else", () => {
  const pod = {
    initContainers: [{ image: "a:1" }],
    containers: [{ image: "b:1" }, { name: "none" }, null],
    volumes: [{ image: "not this" }],
  };
  const list = { kind: "List", items: [{ spec: { template: { spec: pod } } }, { spec: { image: "nor this" } }] };
  assert.deepEqual(imagesOf(list).sort(), ["a:1", "b:1"]);
});

test("the block pins each name once; a name with two tags is left to the operator", () => {
  const block = imagesBlock([
    { reference: "ghcr.io/a/one:v1", files: [], digest: DIGEST },
    { reference: "two:v1", files: [], digest: DIGEST },
    { reference: "two:v2", files: [], digest: DIGEST },
    { reference: "three:v1", files: [], problem: "no answer" },
  ]);
  assert.equal(block, `images:\n  - name: ghcr.io/a/one\n    digest: ${DIGEST}\n`);
});

test("--images reads a folder, asks the registry and writes nothing", async (context) => {
  const server = await serve(context, (request, response) =>
    request.url?.includes("/gone/")
      ? response.writeHead(404).end()
      : response.writeHead(200, { "docker-content-digest": DIGEST }).end(),
  );
  const registry = new URL(server.url).host;
  const folder = temporaryDirectory(context);
  mkdirSync(join(folder, "deep"));
  const deployment = (image: string) =>
    `spec: { template: { spec: { containers: [{ name: c, image: "${image}" }] } } }\n`;
  writeFileSync(join(folder, "web.yaml"), deployment(`${registry}/web:v1`));
  writeFileSync(
    join(folder, "deep", "again.yml"),
    `---\n${deployment(`${registry}/web:v1`)}---\n${deployment(`${registry}/x@${DIGEST}`)}`,
  );
  assert.deepEqual(findUnpinned(folder), [{ reference: `${registry}/web:v1`, files: ["deep/again.yml", "web.yaml"] }]);
  const { exitCode, stdout } = await edgeFleet(["lock", "--images", folder]);
  assert.equal(exitCode, 0);
  assert.ok(stdout.includes(`images:\n  - name: ${registry}/web\n    digest: ${DIGEST}\n`), stdout);

  writeFileSync(join(folder, "gone.yaml"), deployment(`${registry}/gone/x:v1`));
  const failed = await edgeFleet(["lock", "--images", folder, "--json"]);
  assert.equal(failed.exitCode, 1);
  assert.match(failed.stderr, /gone\/x:v1: http:\S+: no such image or tag there/);
  const suggestions = await suggestDigests([{ reference: "$" + "{X}", files: [] }], BOUNDS);
  assert.match(suggestions[0]?.problem ?? "", /is no reference/);
});
