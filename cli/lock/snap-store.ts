/**
 * Asks the Snap Store for a release of a snap: its revision, its bytes and the assertions by which snapd checks them.
 * The digest that the store signs is SHA3-384; it is compared with the downloaded bytes, whose SHA-256 the lock then
 * keeps. https://api.snapcraft.io/docs/info.html, https://ubuntu.com/core/docs/reference/assertions
 */
import { z } from "zod";
import { download, type HttpBounds } from "../../components/artifacts/http.ts";
import type { SnapPart } from "./artifact.ts";

/** A revision of a snap, as the store has it. */
export interface SnapRevision {
  readonly name: string;
  readonly id: string;
  readonly revision: number;
  readonly url: string;
  /** Lower-case hex. */
  readonly sha3_384: string;
  /** Bytes. */
  readonly size: number;
  /** Name of the snap that it is built on. */
  readonly base: string | undefined;
}

const InfoSchema = z.object({
  "snap-id": z.string().regex(/^[A-Za-z0-9]{1,64}$/),
  "channel-map": z.array(
    z.object({
      channel: z.object({ architecture: z.string(), risk: z.string(), track: z.string() }),
      confinement: z.string(),
      base: z.string().nullish(),
      version: z.string(),
      revision: z.int().positive(),
      download: z.object({
        url: z.url({ protocol: /^https?$/ }),
        "sha3-384": z.string().regex(/^[0-9a-f]{96}$/),
        size: z.int().positive(),
      }),
    }),
  ),
});

/** A snap's metadata. */
export type SnapInfo = z.infer<typeof InfoSchema>;

const FIELDS = "base,confinement,download,revision,version";
const RISKS = ["stable", "candidate", "beta", "edge"];
const NAME = /^[a-z0-9](-?[a-z0-9])*$/;
const MAX_INFO_BYTES = 8 * 1024 * 1024;
const MAX_ASSERTION_BYTES = 256 * 1024;

/**
 * Format of a snap-declaration that every snapd since 2.44 reads; newer ones are not asked for.
 * https://github.com/canonical/snapd/blob/master/asserts/asserts.go
 */
const DECLARATION_FORMAT = 4;

/**
 * Asks the store for the revision that a part picks.
 * @param store base URL
 * @throws Error naming the URL, and the releases that the store has, where this one is not among them
 */
export async function findSnap(store: string, part: SnapPart, bounds?: HttpBounds): Promise<SnapRevision> {
  if (part.pick === "stable") return newestStable(store, part.name, part.architecture, bounds);
  const { info, url } = await snapInfo(store, part.name, bounds);
  const snap = chooseRelease(info, part.name, part.version, part.architecture);
  if (snap === undefined) {
    const releases = new Set(releasesOf(info, part.architecture).map(({ version }) => version));
    throw new Error(
      `${url}: no channel has ${part.version} for ${part.architecture} - use one of ${[...releases].sort().join(", ") || "none"}`,
    );
  }
  if (part.pick === "release") return snap;
  const base = snap.base ?? "";
  if (!NAME.test(base)) throw new Error(`${url}: tells no base for ${part.version} - lock it by hand`);
  return newestStable(store, base, part.architecture, bounds);
}

async function newestStable(
  store: string,
  name: string,
  architecture: string,
  bounds: HttpBounds | undefined,
): Promise<SnapRevision> {
  const { info, url } = await snapInfo(store, name, bounds);
  const newest = chooseStable(info, name, architecture);
  if (newest === undefined) throw new Error(`${url}: latest/stable has nothing for ${architecture}`);
  return newest;
}

async function snapInfo(store: string, name: string, bounds?: HttpBounds): Promise<{ info: SnapInfo; url: string }> {
  const url = `${store}/v2/snaps/info/${name}?fields=${FIELDS}`;
  const headers = { "snap-device-series": "16", accept: "application/json" };
  const text = (await download(url, MAX_INFO_BYTES, bounds, { headers })).toString("utf8");
  return { info: parseSnapInfo(text, url), url };
}

/** Reads the store's answer. @throws Error naming the URL and the field */
export function parseSnapInfo(text: string, url: string): SnapInfo {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error(`${url}: the answer is not JSON - check the base URL`);
  }
  const parsed = InfoSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new Error(`${url}: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? "is unclear"} - check the base URL`);
}

type Channel = SnapInfo["channel-map"][number];

/** Classic revisions of the architecture: a strict track carries the same version under another revision. */
function releasesOf(info: SnapInfo, architecture: string): Channel[] {
  return info["channel-map"].filter(
    ({ channel, confinement }) => channel.architecture === architecture && confinement === "classic",
  );
}

/** The revision that is a release: of the safest channel that has it, the newest. */
export function chooseRelease(
  info: SnapInfo,
  name: string,
  version: string,
  architecture: string,
): SnapRevision | undefined {
  const rank = ({ channel }: Channel): number => RISKS.indexOf(channel.risk) + (RISKS.includes(channel.risk) ? 0 : 99);
  const [best] = releasesOf(info, architecture)
    .filter((candidate) => candidate.version === version)
    .sort((a, b) => rank(a) - rank(b) || b.revision - a.revision);
  return best === undefined ? undefined : revisionOf(info, name, best);
}

function chooseStable(info: SnapInfo, name: string, architecture: string): SnapRevision | undefined {
  const found = info["channel-map"].find(
    ({ channel }) => channel.architecture === architecture && channel.track === "latest" && channel.risk === "stable",
  );
  return found === undefined ? undefined : revisionOf(info, name, found);
}

function revisionOf(info: SnapInfo, name: string, { revision, download: file, base }: Channel): SnapRevision {
  return {
    name,
    id: info["snap-id"],
    revision,
    url: file.url,
    sha3_384: file["sha3-384"],
    size: file.size,
    base: base ?? undefined,
  };
}

/**
 * Fetches what `snap ack` needs for a revision: account keys, the publisher's account, the declaration and the revision.
 * Whether they are signed rightly is judged by snapd on the device.
 * @returns the assertions as one text, each followed by an empty line but the last
 * @throws Error naming the URL, where an assertion is missing or is of another snap
 */
export async function fetchAssertions(store: string, snap: SnapRevision, bounds?: HttpBounds): Promise<string> {
  const get = (path: string): Promise<Assertion> => fetchAssertion(`${store}/v2/assertions/${path}`, bounds);
  const digest = Buffer.from(snap.sha3_384, "hex").toString("base64url");
  const revision = await get(`snap-revision/${digest}`);
  const declaration = await get(`snap-declaration/16/${snap.id}?max-format=${DECLARATION_FORMAT}`);
  expect(revision, { "snap-sha3-384": digest, "snap-id": snap.id, "snap-revision": String(snap.revision) });
  expect(revision, { "snap-size": String(snap.size) });
  expect(declaration, { "snap-id": snap.id, "snap-name": snap.name });
  const texts = [declaration.text, revision.text];
  const publisher = declaration.headers.get("publisher-id") ?? "";
  // snapd refuses a copy of what it trusts by itself: https://github.com/canonical/snapd/tree/master/asserts/sysdb
  if (!/^[A-Za-z0-9_-]+$/.test(publisher)) throw new Error(`${declaration.url}: has no publisher-id`);
  const account = ["canonical", "generic"].includes(publisher) ? undefined : await get(`account/${publisher}`);
  if (account !== undefined) texts.unshift(account.text);
  const signed = [declaration, revision, ...(account === undefined ? [] : [account])];
  const keys = await fetchKeys(signed, (id) => get(`account-key/${id}`));
  return [...keys, ...texts].join("\n");
}

/** Keys of the signers, each behind the one that signed it. The root key signs itself and is built into snapd. */
async function fetchKeys(signed: readonly Assertion[], get: (id: string) => Promise<Assertion>): Promise<string[]> {
  const texts: string[] = [];
  const seen = new Set<string>();
  const queue = [...signed];
  for (const assertion of queue) {
    const id = assertion.headers.get("sign-key-sha3-384") ?? "";
    if (!/^[A-Za-z0-9_-]{64}$/.test(id)) throw new Error(`${assertion.url}: has no sign-key-sha3-384`);
    if (seen.has(id)) continue;
    seen.add(id);
    const key = await get(id);
    expect(key, { "public-key-sha3-384": id });
    if (key.headers.get("sign-key-sha3-384") === id) continue;
    texts.unshift(key.text);
    queue.push(key);
  }
  return texts;
}

interface Assertion {
  readonly url: string;
  readonly text: string;
  /** Simple headers by name. */
  readonly headers: ReadonlyMap<string, string>;
}

async function fetchAssertion(url: string, bounds?: HttpBounds): Promise<Assertion> {
  const headers = { accept: "application/x.ubuntu.assertion" };
  const text = (await download(url, MAX_ASSERTION_BYTES, bounds, { headers })).toString("utf8");
  if (!text.startsWith("type: ")) throw new Error(`${url}: is no assertion - check the base URL`);
  return { url, text: `${text.trimEnd()}\n`, headers: assertionHeaders(text) };
}

/** Headers of an assertion: `name: value` lines before the first empty line; those of several lines are left out. */
export function assertionHeaders(text: string): Map<string, string> {
  const [head = ""] = text.split("\n\n", 1);
  return new Map(
    head.split("\n").flatMap((line): [string, string][] => {
      const [, name, value] = /^([a-z][a-z0-9-]*): (.*)$/.exec(line) ?? [];
      return name === undefined || value === undefined ? [] : [[name, value]];
    }),
  );
}

function expect({ url, headers }: Assertion, wanted: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(wanted)) {
    const found = headers.get(name);
    if (found !== value) throw new Error(`${url}: ${name} is ${found ?? "missing"}, not ${value} - check the base URL`);
  }
}
