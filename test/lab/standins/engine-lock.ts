/** The engine in a lock of the tests: definitions and images that only the stand-ins take for some. No part of the product. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ArtifactsLock } from "../../../components/inventory/schema.ts";
import { gitopsOf } from "../../unit/device/profile.ts";
import { argocdManifests } from "../toolchain/index.ts";
import { locked } from "./locked.ts";

/** Definitions in short: the stand-ins take any text for one. */
export const DEFINITIONS = ["application-crd.yaml", "appproject-crd.yaml"].map((name) => {
  const text = `# Stand-in of the lab for ${name} of Argo CD.\n`;
  return { text, file: locked(text, `http://127.0.0.1:9/${name}`) };
});

/** The real definitions that a device gets, which a real API server wants: each with what a lock says of it. */
export async function realDefinitions(): Promise<typeof DEFINITIONS> {
  const { directory } = await argocdManifests();
  return ["application-crd.yaml", "appproject-crd.yaml"].map((name) => {
    const text = readFileSync(join(directory, "crds", name), "utf8");
    return { text, file: locked(text, `http://127.0.0.1:9/${name}`) };
  });
}

/** Argo CD in a lock, for devices whose payload brings the engine: `Device.packed` pushes it. */
export const ENGINE: Pick<ArtifactsLock, "argocd"> = {
  argocd: {
    [gitopsOf("argocd").argocd.version]: {
      crds: DEFINITIONS.map(({ file }) => file),
      images: {
        argocd: `lab.invalid/argocd:v1@sha256:${"a".repeat(64)}`,
        redis: `lab.invalid/redis:v1@sha256:${"b".repeat(64)}`,
      },
    },
  },
};
