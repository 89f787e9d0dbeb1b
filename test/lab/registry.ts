/**
 * A STAND-IN for a container registry: answers what the distribution API answers to one who reads without an account. https://github.com/opencontainers/distribution-spec/blob/main/spec.md
 */
import type { IncomingMessage, ServerResponse } from "node:http";

/** What a registry has. */
export interface RegistryContent {
  /** Content of a digest. */
  readonly blob: (digest: string) => Buffer | undefined;
  /** Digests by `<repository>:<tag>`. */
  readonly tags: Readonly<Record<string, string>>;
  /** What a request must carry; it is given to who asks. Default: nothing. */
  readonly token?: string;
}

/** Answers a request. @returns whether it was for the registry */
export function answerFromRegistry(
  { url = "", headers, method }: IncomingMessage,
  response: ServerResponse,
  { blob, tags, token }: RegistryContent,
): boolean {
  if (token !== undefined && url.startsWith("/token?")) {
    response.end(JSON.stringify({ token }));
    return true;
  }
  const [, repository, kind, reference = ""] = /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(url) ?? [];
  if (repository === undefined) return false;
  if (token !== undefined && headers.authorization !== `Bearer ${token}`) {
    const challenge = `Bearer realm="http://${headers.host}/token",service="lab"`;
    response.writeHead(401, { "www-authenticate": challenge }).end();
    return true;
  }
  const digest = kind === "manifests" ? (tags[`${repository}:${reference}`] ?? reference) : reference;
  const content = blob(digest);
  if (content === undefined) response.writeHead(404).end();
  else {
    response.writeHead(200, { "docker-content-digest": digest, "content-length": content.length });
    response.end(method === "HEAD" ? undefined : content);
  }
  return true;
}
