import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createReadStream, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { type TestContext, test } from "node:test";
import { extract } from "tar-stream";
import { type ArchivedImage, imageArchivePath, writeImageArchive } from "../../../cli/lock/image-archive.ts";
import { loadInventory, resolveProfile } from "../../../components/inventory/index.ts";
import { resolveArtifacts } from "../../../components/plan/artifact.ts";
import { answerFromRegistry } from "../../lab/registry.ts";
import { installOf } from "./argocd-release.ts";
import { edgeFleet } from "./command.ts";
import { serve } from "./http-server.ts";
import { temporaryDirectory, writeInventory } from "./inventory.ts";

const BOUNDS = { timeoutMs: 5_000, attempts: 1, pauseMs: 1 };
const OCI = "application/vnd.oci.image";
const digestOf = (content: Buffer | string) => `sha256:${createHash("sha256").update(content).digest("hex")}`;

/** Blobs of images for both architectures. */
class Images {
  readonly blobs = new Map<string, Buffer>();
  readonly tags: Record<string, string> = {};

  put(content: object | string) {
    const bytes = Buffer.from(typeof content === "string" ? content : JSON.stringify(content));
    const digest = digestOf(bytes);
    this.blobs.set(digest, bytes);
    return { digest, size: bytes.length };
  }

  /** @returns the digest of an index */
  add(repository: string, tag: string, architectures = ["amd64", "arm64"]): string {
    const manifests = architectures.map((architecture) => ({
      mediaType: `${OCI}.manifest.v1+json`,
      ...this.put(this.#manifest(`${repository} ${architecture}`)),
      platform: { os: "linux", architecture },
    }));
    const { digest } = this.put({ schemaVersion: 2, mediaType: `${OCI}.index.v1+json`, manifests });
    this.tags[`${repository}:${tag}`] = digest;
    return digest;
  }

  /** @returns the digest of an image without an index */
  addSingle(repository: string): string {
    return this.put(this.#manifest(repository)).digest;
  }

  #manifest(name: string) {
    const layers = ["base", name].map((layer) => ({ mediaType: `${OCI}.layer.v1.tar`, ...this.put(`layer ${layer}`) }));
    return { schemaVersion: 2, config: this.put({ config: name }), layers };
  }
}

async function lab(context: TestContext, token?: string) {
  const images = new Images();
  const server = await serve(context, (request, response) => {
    const content = { blob: (digest: string) => images.blobs.get(digest), tags: images.tags };
    if (!answerFromRegistry(request, response, { ...content, ...(token === undefined ? {} : { token }) }))
      response.writeHead(404).end();
  });
  const directory = temporaryDirectory(context);
  const write = async (image: ArchivedImage) => {
    const target = join(directory, "image.tar");
    await writeImageArchive(image, target, join(directory, "layers"), BOUNDS);
    return target;
  };
  return { images, server, host: new URL(server.url).host, write, directory };
}

async function entriesOf(archive: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for await (const entry of createReadStream(archive).pipe(extract())) {
    const { name, uid, gid, mode, mtime } = entry.header;
    assert.deepEqual([uid, gid, mode, mtime?.getTime()], [0, 0, 0o644, 0], name);
    found.set(name, await text(entry));
  }
  return found;
}

for (const token of [undefined, "anonymous"])
  test(`an archive has the image of one architecture, by tag and by digest${token === undefined ? "" : ", read with a token"}`, async (context) => {
    const { images, host, write, directory } = await lab(context, token);
    const digest = images.add("team/web", "v1");
    const reference = `${host}/team/web:v1@${digest}`;
    const archive = await write({ reference, architecture: "arm64" });
    const entries = await entriesOf(archive);
    for (const [name, content] of entries)
      if (name.startsWith("blobs/")) assert.equal(digestOf(content).replace(":", "/"), name.replace("blobs/", ""));
    const layers = [...entries.values()].filter((content) => content.startsWith("layer "));
    assert.deepEqual(layers.sort(), ["layer base", "layer team/web arm64"]);
    const index = JSON.parse(entries.get("index.json") ?? "");
    assert.deepEqual(
      index.manifests.map((each: { digest: string; annotations: object }) => [each.digest, each.annotations]),
      [`${host}/team/web:v1`, `${host}/team/web@${digest}`].map((name) => [
        digest,
        { "io.containerd.image.name": name },
      ]),
    );
    assert.deepEqual(JSON.parse(entries.get("oci-layout") ?? ""), { imageLayoutVersion: "1.0.0" });
    assert.deepEqual(readdirSync(directory), ["image.tar"], "layers do not stay");

    const first = readFileSync(archive);
    await write({ reference, architecture: "arm64" });
    assert.ok(first.equals(readFileSync(archive)), "the same bytes each time");
  });

test("an image without an index is taken as it is", async (context) => {
  const { images, host, write } = await lab(context);
  const digest = images.addSingle("one");
  const entries = await entriesOf(await write({ reference: `${host}/one:v1@${digest}`, architecture: "amd64" }));
  const [manifest] = JSON.parse(entries.get("index.json") ?? "").manifests;
  assert.equal(manifest.digest, digest);
  assert.equal(manifest.mediaType, `${OCI}.manifest.v1+json`);
});

test("what is not there, or not what was asked for, is told with the image", async (context) => {
  const { images, host, write } = await lab(context);
  const digest = images.add("web", "v1", ["amd64"]);
  const reference = `${host}/web:v1@${digest}`;
  await assert.rejects(write({ reference, architecture: "arm64" }), /has nothing for arm64 - use another release/);
  images.blobs.set(digest, Buffer.from('{"layers": []}'));
  await assert.rejects(write({ reference, architecture: "amd64" }), /answers with another manifest/);
  const other = images.put({ schemaVersion: 1 }).digest;
  await assert.rejects(write({ reference: `${host}/web@${other}`, architecture: "amd64" }), /of another kind/);
});

test("a layer with other bytes is no part of an archive", async (context) => {
  const { images, host, write } = await lab(context);
  const digest = images.add("web", "v1");
  for (const [blob, content] of images.blobs)
    if (content.toString() === "layer base") images.blobs.set(blob, Buffer.from("layer evil"));
  const reference = `${host}/web:v1@${digest}`;
  await assert.rejects(write({ reference, architecture: "amd64" }), /has SHA-256 .*, locked is /);
});

const FLEET = `fleet: acme
git: { url: "https://git.example.com/fleet.git" }
rings: [canary]
ring: canary
hub: none
k3s: { version: v1.36.2+k3s1 }
artifacts: { mirror: "https://mirror.example.com/edge", images: true }
`;

/** A server that has the releases of a fleet and is the registry that they name, and a mirror to fill. */
async function mirrorLab(context: TestContext) {
  const images = new Images();
  for (const [repository, tag] of Object.entries({
    "argoproj/argocd": "v3.2.11",
    "docker/library/redis": "8.2.2-alpine",
  }))
    images.add(repository, tag);
  const server = await serve(context, (request, response) => {
    const path = request.url ?? "";
    const content = { blob: (digest: string) => images.blobs.get(digest), tags: images.tags };
    if (answerFromRegistry(request, response, content)) return;
    if (path.endsWith("namespace-install.yaml")) response.end(installOf(request.headers.host ?? "", "v3.2.11"));
    else if (path.endsWith("/sha256sum-amd64.txt")) {
      const names = ["k3s", "k3s-airgap-images-amd64.tar.zst"];
      response.end(names.map((name) => `${digestOf(name).replace("sha256:", "")}  ${name}\n`).join(""));
    } else response.end(path.split("/").at(-1));
  });
  const mirror = join(temporaryDirectory(context), "mirror");
  const stacks = writeInventory(context, {
    "fleet.yaml": FLEET,
    "models.yaml": "nuc: { architecture: amd64, memory: 4Gi }\n",
    "tokyo.yaml": "region: tokyo\ndevices:\n  - { id: a, host: h, model: nuc }\n",
  });
  rmSync(join(stacks, "artifacts.lock.yaml"));
  const cache = join(mirror, "..", "cache");
  const base = ["--k3s-base", server.url, "--argocd-base", server.url, "--mirror", mirror, "--cache", cache];
  const run = async (...more: string[]) => {
    const { exitCode, stdout, stderr } = await edgeFleet(["lock", "--inventory", stacks, "--json", ...base, ...more]);
    assert.ok(stdout, stderr);
    const { mirror: outcomes } = JSON.parse(stdout) as { mirror: { path: string; state: string }[] };
    const archives = outcomes.filter(({ path }) => path.startsWith("images/"));
    return { exitCode, states: archives.map(({ state }) => state), paths: archives.map(({ path }) => path) };
  };
  const artifacts = () => resolveArtifacts(resolveProfile(loadInventory(stacks), "a"), loadInventory(stacks).artifacts);
  return { images, server, mirror, stacks, cache, run, artifacts };
}

test("a mirror gets archives of the engine's images, and a device of the fleet imports them from there", async (context) => {
  const { images, server, run, artifacts, mirror } = await mirrorLab(context);
  const { exitCode, states, paths } = await run();
  assert.deepEqual([exitCode, states], [0, ["fetched", "fetched"]]);
  const tag = "argoproj/argocd:v3.2.11";
  const reference = `${new URL(server.url).host}/${tag}@${images.tags[tag]}`;
  assert.equal(paths[0], imageArchivePath({ reference, architecture: "amd64" }));
  const archives = artifacts().filter(({ name }) => name.endsWith("-image"));
  assert.deepEqual(
    archives.map(({ name, kind, url, installPath, mode, delivery }) => [name, kind, url, installPath, mode, delivery]),
    ["argocd", "redis"].map((name, index) => [
      ...[`${name}-image`, "images", `https://mirror.example.com/edge/${paths[index]}`],
      ...[`/var/lib/rancher/k3s/agent/images/edge-fleet-${name}.tar`, "0644", "fetch"],
    ]),
  );
  const content = readFileSync(join(mirror, paths[0] ?? ""));
  assert.equal(`sha256:${archives[0]?.sha256}`, digestOf(content));
});

test("an archive that is lost is made anew, byte for byte, and one that is not locked is asked for", async (context) => {
  const { server, run, artifacts, mirror, stacks, cache } = await mirrorLab(context);
  const [path = ""] = (await run()).paths;
  const file = join(mirror, path);
  const whole = readFileSync(file);
  const asked = server.requests.length;
  assert.deepEqual((await run("--check")).states, ["present", "present"]);
  assert.equal(server.requests.length, asked, "--check asks no server");
  rmSync(file);
  rmSync(cache, { recursive: true });
  assert.deepEqual((await run("--check")).states, ["missing", "present"]);
  assert.deepEqual((await run()).states, ["fetched", "present"]);
  assert.ok(readFileSync(file).equals(whole));
  const lock = join(stacks, "artifacts.lock.yaml");
  writeFileSync(lock, readFileSync(lock, "utf8").replace(/^imageArchives:[\s\S]*/m, ""));
  assert.throws(artifacts, /imageArchives\..*argocd.*amd64 is missing, device a needs it - run edge-fleet lock/);
});
