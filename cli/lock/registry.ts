/**
 * Asks a container registry, anonymously and through the distribution API, for the digest behind an image's tag and for the
 * manifest behind a digest.
 * https://github.com/opencontainers/distribution-spec/blob/main/spec.md
 */
import { createHash } from "node:crypto";
import {
  attempt,
  DEFAULT_BOUNDS,
  type HttpBounds,
  isLoopback,
  open,
  refusal,
} from "../../components/artifacts/http.ts";

/** An image reference, taken apart. */
export interface ImageReference {
  /** Registry host, with port where it has one. */
  readonly registry: string;
  /** e.g. `library/nginx` */
  readonly repository: string;
  /** As it is written, without tag and digest. */
  readonly name: string;
  readonly tag: string;
  /** Undefined where the reference pins none. */
  readonly digest: string | undefined;
}

/** An index comes first: one digest for every architecture. */
const MANIFESTS = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
].join(", ");

const DIGEST = /^sha256:[0-9a-f]{64}$/;
const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;
const MAX_TOKEN_BYTES = 64 * 1024;

/**
 * Takes a reference apart as Docker does: no registry means docker.io, no folder there means `library`, no tag `latest`.
 * @throws Error naming the reference
 */
export function parseImage(reference: string): ImageReference {
  const [, name = "", tag, digest] =
    /^([a-z0-9][a-z0-9._/:-]*?)(?::([A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(sha256:[0-9a-f]{64}))?$/.exec(reference) ??
    [];
  const [first = "", ...rest] = name.split("/");
  const hosted = rest.length > 0 && /[.:]|^localhost$/.test(first);
  const path = hosted ? rest.join("/") : name;
  if (!path.split("/").every((part) => /^[a-z0-9]+([._-]+[a-z0-9]+)*$/.test(part)))
    throw new Error(`image ${JSON.stringify(reference)} is no reference - write <registry>/<name>:<tag>`);
  const registry = hosted ? first : "docker.io";
  const official = registry === "docker.io" && !path.includes("/");
  return { registry, repository: official ? `library/${path}` : path, name, tag: tag ?? "latest", digest };
}

/** What a registry has of one repository, read without an account. */
export class Registry {
  /** Of the repository in the distribution API, without a trailing slash. */
  readonly url: string;
  readonly #image: ImageReference;
  readonly #bounds: HttpBounds;

  constructor(image: ImageReference, bounds: HttpBounds = DEFAULT_BOUNDS) {
    const host = image.registry === "docker.io" ? "registry-1.docker.io" : image.registry;
    const scheme = isLoopback(host.replace(/:\d+$/, "")) ? "http" : "https";
    this.url = `${scheme}://${host}/v2/${image.repository}`;
    this.#image = image;
    this.#bounds = bounds;
  }

  /** URL of a blob. */
  blob(digest: string): string {
    return `${this.url}/blobs/${digest}`;
  }

  /**
   * What requests must carry; a token holds for minutes.
   * @throws Error naming the URL, what happened and the fix; a registry that wants a log-in is refused
   */
  headers(): Promise<Record<string, string>> {
    const url = this.#manifestUrl(this.#image.digest ?? this.#image.tag);
    return attempt(url, this.#bounds, async (signal) => (await this.#ask(url, signal)).headers);
  }

  /**
   * The digest behind the image's tag.
   * @returns e.g. `sha256:2cf2...`
   * @throws Error as {@link headers}
   */
  digest(): Promise<string> {
    const url = this.#manifestUrl(this.#image.tag);
    return attempt(url, this.#bounds, async (signal) => {
      const { answer, headers } = await this.#ask(url, signal);
      const told = answer.headers.get("docker-content-digest") ?? "";
      return DIGEST.test(told) ? told : digestOf(await readManifest(url, headers, signal));
    });
  }

  /** The manifest of a digest. @throws Error as {@link headers}, and where it is another one */
  manifest(digest: string): Promise<Buffer> {
    const url = this.#manifestUrl(digest);
    return attempt(url, this.#bounds, async (signal) => {
      const { headers } = await this.#ask(url, signal);
      const body = await readManifest(url, headers, signal);
      if (digestOf(body) !== digest) throw new Error("answers with another manifest - use another registry");
      return body;
    });
  }

  #manifestUrl(reference: string): string {
    return `${this.url}/manifests/${reference}`;
  }

  async #ask(url: string, signal: AbortSignal): Promise<{ answer: Response; headers: Record<string, string> }> {
    const plain = { accept: MANIFESTS };
    const first = await open(url, { method: "HEAD", headers: plain }, signal);
    if (first.status !== 401) return { answer: await accepted(first), headers: plain };
    const headers = { ...plain, authorization: `Bearer ${await tokenOf(first, this.#image, signal)}` };
    return { answer: await accepted(await open(url, { method: "HEAD", headers }, signal)), headers };
  }
}

async function accepted(response: Response): Promise<Response> {
  if (response.status === 401 || response.status === 403)
    throw new Error("asks for a log-in - pin the digest by hand: docker buildx imagetools inspect");
  if (response.status === 404) throw new Error("no such image or tag there - check the reference");
  if (!response.ok) throw await refusal(response);
  return response;
}

async function readManifest(url: string, headers: Record<string, string>, signal: AbortSignal): Promise<Buffer> {
  const whole = await open(url, { headers }, signal);
  if (!whole.ok) throw await refusal(whole);
  const body = Buffer.from(await whole.arrayBuffer());
  if (body.length === 0 || body.length > MAX_MANIFEST_BYTES)
    throw new Error("answers with something else than a manifest");
  return body;
}

function digestOf(body: Buffer): string {
  return `sha256:${createHash("sha256").update(body).digest("hex")}`;
}

/** Anonymous token. https://distribution.github.io/distribution/spec/auth/token/ */
async function tokenOf(response: Response, { repository }: ImageReference, signal: AbortSignal): Promise<string> {
  const challenge = parseChallenge(response.headers.get("www-authenticate") ?? "");
  const realm = challenge.get("realm") ?? "";
  const url = URL.canParse(realm) ? new URL(realm) : undefined;
  if (url === undefined || !(url.protocol === "https:" || isLoopback(url.hostname)))
    throw new Error("asks for a log-in that is not a token over https - pin the digest by hand");
  const service = challenge.get("service");
  if (service !== undefined) url.searchParams.set("service", service);
  url.searchParams.set("scope", challenge.get("scope") ?? `repository:${repository}:pull`);
  const answer = await open(url.href, {}, signal);
  if (!answer.ok) throw await refusal(answer);
  const text = (await answer.text()).slice(0, MAX_TOKEN_BYTES);
  const { token, access_token: other } = JSON.parse(text) as { token?: unknown; access_token?: unknown };
  const found = token ?? other;
  if (typeof found !== "string" || !/^[\x21-\x7e]+$/.test(found)) throw new Error(`${url.origin} gives no token`);
  return found;
}

/** Parameters of `Bearer realm="...",service="...",scope="..."`. */
export function parseChallenge(header: string): Map<string, string> {
  if (!/^bearer /i.test(header)) return new Map();
  return new Map([...header.matchAll(/([a-z]+)="([^"]*)"/gi)].map(([, name = "", value = ""]) => [name, value]));
}
