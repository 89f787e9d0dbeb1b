/** What a release of Argo CD and the registry that it names answer, for tests of the lock. */
import type { IncomingMessage, ServerResponse } from "node:http";

/** Digests that the registry has of the release's images. */
export const DIGESTS = { argocd: `sha256:${"a".repeat(64)}`, redis: `sha256:${"e".repeat(64)}` };

/** The namespaced install of a release: containers of Argo CD and redis, and init containers of no use here. */
export function installOf(registry: string, version: string): string {
  const pod = (name: string, image: string) => `apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name} }
spec:
  template:
    spec:
      initContainers: [{ name: init, image: "${registry}/team/argocd-tools:1" }]
      containers: [{ name: ${name}, image: "${image}" }]
`;
  return [
    pod("argocd-repo-server", `${registry}/argoproj/argocd:${version}`),
    pod("argocd-redis", `${registry}/docker/library/redis:8.2.2-alpine`),
  ].join("---\n");
}

/** Images as they are locked. */
export function imagesOf(registry: string, version: string): { readonly argocd: string; readonly redis: string } {
  return {
    argocd: `${registry}/argoproj/argocd:${version}@${DIGESTS.argocd}`,
    redis: `${registry}/docker/library/redis:8.2.2-alpine@${DIGESTS.redis}`,
  };
}

/** Answers what the registry is asked. @returns whether it was for the registry */
export function answerAsRegistry(request: IncomingMessage, response: ServerResponse): boolean {
  const [, name] = /^\/v2\/.*(argocd|redis)\/manifests\//.exec(request.url ?? "") ?? [];
  if (name !== "argocd" && name !== "redis") return false;
  response.writeHead(200, { "docker-content-digest": DIGESTS[name] }).end();
  return true;
}
